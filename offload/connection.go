package offload

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sublet-hpc/sublet/internal/control"
	"github.com/sublet-hpc/sublet/internal/fabric"
)

const (
	maxConstants = fabric.MaxConstants
	// spinSlice is how long one spin in C lasts before it comes back to look at contexts.
	spinSlice = 50 * time.Microsecond
)

// connection is the way to one executor process. A replacement is a new connection, with memory
// of its own, so that nothing that the old one still writes can matter.
//
//	open ── the executor exits, breaks or is released ──▶ lost: its futures end, its memory is freed
//
// Whoever waits takes mu, polls, and files what came for everybody; the others look at their own
// future meanwhile. While somebody sleeps, or a large payload is on its way over a network that
// moves nothing by itself, and nobody spins, the driver does it (driver.go).
type connection struct {
	executor *Executor
	spin     time.Duration

	mu          sync.Mutex
	client      *fabric.Client
	closeClient func()
	inFlight    []*Future // by id mod slots
	pending     int
	closed      bool
	driving     bool // the driver exists
	sleepers    int
	large       int // invocations in flight whose payloads want to be moved
	doorbell    *os.File
	process     *os.File // pidfd of the executor

	spinners atomic.Int32  // goroutines that poll
	resume   chan struct{} // has room for one; tells the driver that they have stopped

	mapping sync.Mutex // held while a region is made known to the executor
	mapped  [fabric.MaxRegions / 64]atomic.Uint64

	isBroken atomic.Bool
	brokenBy atomic.Pointer[error]
	gone     chan struct{} // closed when the futures in flight have ended

	// failure is why nothing can be sent any more, set before futures are ended.
	failure atomic.Pointer[error]
	// load is the number of invocations in flight, for choosing an executor.
	load atomic.Int32
}

func (c *connection) knows(region uint32) bool {
	return c.mapped[region/64].Load()&(1<<(region%64)) != 0
}

func (c *connection) setKnown(region uint32, known bool) {
	if known {
		c.mapped[region/64].Or(1 << (region % 64))
	} else {
		c.mapped[region/64].And(^uint64(1 << (region % 64)))
	}
}

// lock takes mu; a waiter that spins in C gives way.
func (c *connection) lock() {
	if c.mu.TryLock() {
		return
	}
	c.client.Want()
	c.mu.Lock()
	c.client.Unwant()
}

// submit sends a request whose regions the executor knows. While all slots are in use it harvests
// for others, until ctx ends.
func (c *connection) submit(ctx context.Context, f *Future, request *fabric.Request) error {
	c.load.Add(1)
	c.lock()
	for {
		if c.closed {
			c.mu.Unlock()
			c.load.Add(-1)
			return *c.failure.Load()
		}
		id, err := c.client.Submit(request)
		if err == nil {
			f.id = id
			c.inFlight[id%uint64(len(c.inFlight))] = f
			c.pending++
			if f.large {
				c.large++
				c.startDriver()
			}
			c.mu.Unlock()
			return nil
		}
		if errors.Is(err, fabric.ErrFull) {
			err = c.harvest(c.client.Harvested()+1, spinSlice)
		}
		if err == nil {
			err = ctx.Err()
		} else {
			// The connection is broken: its owner will find out why, and end the others' futures.
			c.executor.broken(c, err)
		}
		if err != nil {
			c.mu.Unlock()
			c.load.Add(-1)
			return err
		}
		c.mu.Unlock()
		runtime.Gosched()
		c.lock()
	}
}

// harvest spins for the response to an invocation and files all that came. mu is held.
func (c *connection) harvest(until uint64, budget time.Duration) error {
	responses, err := c.client.Harvest(until, budget)
	for i := range responses {
		response := &responses[i]
		slot := response.ID % uint64(len(c.inFlight))
		f := c.inFlight[slot]
		c.inFlight[slot] = nil
		c.pending--
		if f.large {
			c.large--
		}
		c.load.Add(-1)
		f.inCall = response.InCall
		f.end(response.Size, c.executor.explain(f, response))
	}
	return err
}

// await returns when the future or ctx has ended.
func (c *connection) await(ctx context.Context, f *Future) error {
	if ended, err := c.spinFor(ctx, f); ended {
		return err
	}
	return c.sleep(ctx, f)
}

// spinFor polls until the future or ctx has ended, or it has been long enough.
func (c *connection) spinFor(ctx context.Context, f *Future) (ended bool, err error) {
	c.spinners.Add(1)
	defer c.stopSpinning()
	var slept time.Time // when spinning will be over
	for turn := 0; ; turn++ {
		if c.mu.TryLock() {
			if !f.ended.Load() && !c.closed {
				if err := c.harvest(f.id, spinSlice); err != nil {
					c.executor.broken(c, err)
				}
			}
			closed := c.closed
			c.mu.Unlock()
			if f.ended.Load() {
				return true, nil
			}
			if closed {
				return false, nil // its loss is being looked into
			}
		} else if f.ended.Load() {
			return true, nil
		} else {
			runtime.Gosched()
		}
		if ctx.Done() != nil && ctx.Err() != nil {
			return true, ctx.Err()
		}
		if now := time.Now(); turn == 0 {
			slept = now.Add(c.spin)
		} else if c.spin >= 0 && now.After(slept) {
			return false, nil
		}
	}
}

// sleep waits without spinning: the driver files what comes.
func (c *connection) sleep(ctx context.Context, f *Future) error {
	c.lock()
	c.sleepers++
	c.startDriver()
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		c.sleepers--
		c.mu.Unlock()
	}()
	select {
	case <-f.done():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// fail takes the connection out of use: whatever was answered is filed, and what was not is
// returned for its owner to end. The executor must have exited, or nothing of what it writes may
// reach us any more once the client is closed.
func (c *connection) fail(reason error) []*Future {
	c.lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	c.failure.Store(&reason)
	_ = c.harvest(c.client.Submitted(), 0) // what it answered before it went counts
	c.closed = true
	c.closeClient()
	c.doorbell.Close()
	c.wakeDriver()
	var unanswered []*Future
	for i, f := range c.inFlight {
		if f != nil {
			unanswered = append(unanswered, f)
			c.inFlight[i] = nil
		}
	}
	return unanswered
}

// introduce makes a region known to the executor.
func (c *connection) introduce(ctx context.Context, r *region) error {
	c.mapping.Lock()
	defer c.mapping.Unlock()
	if c.knows(r.id) {
		return nil
	}
	m := control.Map{Region: r.id, Size: uint64(len(r.memory.Bytes())), ReadOnly: r.purpose == fabric.Constants}
	var files []*os.File
	if c.client.Path().Transport == fabric.Ring {
		files = []*os.File{r.memory.File()}
	}
	here, err := withClient(c, func() (fabric.RemoteMemory, error) { return c.client.Attach(r.id, r.memory) })
	if err != nil {
		return err
	}
	m.Address, m.Key = here.Address, here.Key
	var mapped control.Mapped
	if err := c.executor.lease.link.call(ctx, control.TypeMap, c.executor.index, m, &mapped, files...); err != nil {
		return fmt.Errorf("offload: giving %d bytes to %s: %w", m.Size, c.executor, err)
	}
	_, err = withClient(c, func() (struct{}, error) {
		err := c.client.Attached(r.id, fabric.RemoteMemory{Address: mapped.Address, Key: mapped.Key})
		if err == nil && m.ReadOnly {
			err = c.client.Push(r.id)
		}
		return struct{}{}, err
	})
	if err == nil {
		c.setKnown(r.id, true)
	}
	return err
}

// dismiss makes the executor forget a region; if it can not be asked any more it has forgotten.
func (c *connection) dismiss(ctx context.Context, r *region) {
	c.mapping.Lock()
	defer c.mapping.Unlock()
	if !c.knows(r.id) {
		return
	}
	c.setKnown(r.id, false)
	_ = c.executor.lease.link.call(ctx, control.TypeUnmap, c.executor.index, control.Unmap{Region: r.id}, &control.Unmap{})
	_, _ = withClient(c, func() (struct{}, error) { return struct{}{}, c.client.Detach(r.id) })
}

// withClient calls f while nobody else uses the client.
func withClient[T any](c *connection, f func() (T, error)) (T, error) {
	c.lock()
	defer c.mu.Unlock()
	if c.closed {
		var none T
		return none, *c.failure.Load()
	}
	return f()
}
