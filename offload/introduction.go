package offload

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sublet-hpc/sublet/internal/control"
	"github.com/sublet-hpc/sublet/internal/fabric"
)

// knownRegions are the regions that an executor has. It is given one when an invocation names it
// for the first time.
//
//	unknown ── the first who names it ──▶ being introduced ──▶ known ── the region is freed ──▶ unknown
//	                                          │ failed
//	                                          └──▶ unknown
type knownRegions struct {
	known [fabric.MaxRegions / 64]atomic.Uint64

	mu       sync.Mutex
	underWay map[uint32]*introduction
}

// introduction is a region on its way to an executor. It is the connection's business, not that
// of the invocation that caused it: the end of a caller's context only ends the caller's waiting.
type introduction struct {
	done chan struct{}
	err  error
}

func (k *knownRegions) has(region uint32) bool {
	return k.known[region/64].Load()&(1<<(region%64)) != 0
}

func (k *knownRegions) set(region uint32, known bool) {
	if known {
		k.known[region/64].Or(1 << (region % 64))
	} else {
		k.known[region/64].And(^uint64(1 << (region % 64)))
	}
}

// introduce makes the region of a block known to the executor. The block is lent.
func (c *connection) introduce(ctx context.Context, b *block) error {
	id := b.region.id
	k := &c.regions
	k.mu.Lock()
	if k.has(id) {
		k.mu.Unlock()
		return nil
	}
	i, ok := k.underWay[id]
	if !ok {
		i = &introduction{done: make(chan struct{})}
		if k.underWay == nil {
			k.underWay = map[uint32]*introduction{}
		}
		k.underWay[id] = i
		b.lent.Add(1) // the region stays until it has arrived
		go func() {
			i.err = c.give(b.region)
			k.mu.Lock()
			k.set(id, i.err == nil)
			delete(k.underWay, id)
			k.mu.Unlock()
			b.lent.Add(-1)
			close(i.done)
		}()
	}
	k.mu.Unlock()
	select {
	case <-i.done:
		return i.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// await waits for the introductions that are under way.
func (k *knownRegions) await() {
	k.mu.Lock()
	var underWay []*introduction
	for _, i := range k.underWay {
		underWay = append(underWay, i)
	}
	k.mu.Unlock()
	for _, i := range underWay {
		<-i.done
	}
}

// errRefused marks an introduction that the executor refused, and could refuse: a limit. Every
// other failure means that the executor is of no use.
var errRefused = errors.New("offload: refused")

// refusal is an error that errRefused marks.
type refusal struct{ err error }

func (r *refusal) Error() string        { return r.err.Error() }
func (r *refusal) Unwrap() error        { return r.err }
func (r *refusal) Is(target error) bool { return target == errRefused }

// refused explains why an executor has no room for a region.
func (c *connection) refused(bytes uint64, why *control.Failed) error {
	if why.Memory == 0 {
		return &refusal{fmt.Errorf("offload: giving %d bytes to %s: %w", bytes, c.berth, why)}
	}
	return &refusal{classify(ErrPayloadTooLarge,
		"offload: giving a buffer or constant to %s: %s; free some, use smaller ones (a part of one counts as the whole), or raise Want.Memory", c.berth, why.Text)}
}

// give sends a region to the executor.
func (c *connection) give(r *region) error {
	link := c.berth.site.link
	m := control.Map{Region: r.id, Size: uint64(len(r.memory.Bytes())), ReadOnly: r.purpose == fabric.Constants}
	var files []*os.File
	if c.client.Path().Transport == fabric.Ring {
		files = []*os.File{r.memory.File()}
	}
	err := c.withClient(func() error {
		c.moving.Store(int64(m.Size))
		here, err := c.client.Attach(r.id, r.memory)
		if err != nil {
			return &refusal{err}
		}
		m.Address, m.Key = here.Address, here.Key
		return nil
	})
	if err != nil { // perhaps only that the executor is lost
		return err
	}
	ctx, cancel := context.WithTimeout(c.alive, mapPatience)
	defer cancel()
	var mapped control.Mapped
	if err := link.call(ctx, control.TypeMap, c.target(), m, &mapped, files...); err != nil {
		var refused *control.Failed
		if errors.As(err, &refused) && refused.Code == control.CodeLimit {
			err = c.refused(m.Size, refused)
		}
		return errors.Join(err, c.withClient(func() error { return c.client.Detach(r.id) }))
	}
	return c.withClient(func() error {
		err := c.client.Attached(r.id, fabric.RemoteMemory{Address: mapped.Address, Key: mapped.Key})
		if err == nil && m.ReadOnly {
			c.moving.Store(int64(m.Size))
			err = c.client.Push(r.id)
		}
		return err
	})
}

// mapPatience is how long an executor may take to accept a region, whatever its function does.
const mapPatience = 30 * time.Second

// dismissPatience is how long an executor may take to give up a region: its function may run.
const dismissPatience = 10 * time.Second

// dismiss makes the executor forget a region that nothing uses any more. When it returns nil the
// executor does not have it: it says so, or it has ended.
func (c *connection) dismiss(r *region) error {
	ctx, cancel := context.WithTimeout(c.alive, dismissPatience)
	defer cancel()
	err := c.takeBack(ctx, r)
	if err == nil {
		return nil
	}
	c.kill(fmt.Errorf("it does not give up %d bytes: %w", len(r.memory.Bytes()), err))
	select {
	case <-c.gone:
		return nil
	case <-time.After(dismissPatience):
		return fmt.Errorf("offload: %s neither gives up a buffer that was freed nor ends; the memory is kept: %w", c.berth, err)
	}
}

// takeBack asks the executor to give up a region.
func (c *connection) takeBack(ctx context.Context, r *region) error {
	k := &c.regions
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.has(r.id) {
		return nil
	}
	err := c.berth.site.link.call(ctx, control.TypeUnmap, c.target(), control.Unmap{Region: r.id}, &control.Unmap{})
	if err == nil {
		err = c.withClient(func() error { return c.client.Detach(r.id) })
	}
	if err == nil {
		k.set(r.id, false)
	}
	return err
}

// withClient calls f while nobody else uses the client.
func (c *connection) withClient(f func() error) error {
	c.lock()
	defer c.mu.Unlock()
	defer c.moving.Store(0)
	if c.closed {
		return *c.failure.Load()
	}
	return f()
}
