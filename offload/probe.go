package offload

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/sublet-hpc/sublet/internal/fabric"
)

// What a provider says that it can do is a hint. So before a connection is used, every executor's
// own function, which copies its input, is called over it once for each way that a payload can
// take.
var probes = []struct {
	way  string
	size int
}{
	{"a payload in the header's line", 8},
	{"a payload behind the header", 4 << 10},
	{"a payload between memory regions", fabric.EagerSize + 4<<10},
}

// probePatience is how long one call may take: the first one over some networks connects.
const probePatience = 5 * time.Second

// probe proves that the connection carries requests and responses of all kinds. Nobody else uses
// it yet. If it does not, the client is closed.
func (c *connection) probe(ctx context.Context) error {
	memory := &c.berth.site.lease.session.regions
	size := probes[len(probes)-1].size
	b, err := memory.allocate(fabric.Buffers, 2*size)
	if err != nil {
		c.closeClient()
		return err
	}
	enough := c.letGo(ctx)
	err = c.introduce(ctx, b)
	for _, p := range probes {
		if err == nil {
			err = c.probeOnce(ctx, b, p.size)
		}
		if err != nil {
			path := c.client.Path()
			err = fmt.Errorf("%s over %s was tried and does not work: %s: %w", path.Transport, path.Provider, p.way, err)
			break
		}
	}
	if err == nil {
		err = c.takeBack(ctx, b.region)
	}
	if err != nil {
		c.died() // it is of no use: an introduction that is under way ends
		c.regions.await()
	}
	enough()
	if err != nil {
		c.closeClient() // before the memory: nothing may land there any more
	}
	return errors.Join(err, memory.release(b))
}

// letGo abandons the client when the process has ended, as lose does later: somebody may wait in it.
func (c *connection) letGo(ctx context.Context) (enough func()) {
	alive, noMore := c.berth.whileAlive(ctx, c)
	done := make(chan struct{})
	forget := context.AfterFunc(alive, func() {
		c.client.Abandon()
		close(done)
	})
	return func() {
		if !forget() {
			<-done
		}
		noMore()
	}
}

func (c *connection) probeOnce(ctx context.Context, b *block, size int) error {
	in, out := b.bytes()[:size], b.bytes()[size:2*size]
	for i := range in {
		in[i] = byte(i*7 + size)
	}
	clear(out)
	payload := func(offset int) fabric.Payload {
		return fabric.Payload{Address: unsafe.Pointer(&b.bytes()[offset]), Size: size, Region: b.region.id, Offset: uint64(b.offset + offset)}
	}
	id, err := c.client.Submit(&fabric.Request{Function: fabric.Probe, Input: payload(0), Output: payload(size)})
	if err != nil {
		return err
	}
	for deadline := time.Now().Add(probePatience); c.client.Harvested() < id; {
		responses, err := c.client.Harvest(id, spinSlice)
		if err != nil {
			return err
		}
		for _, r := range responses {
			if r.Status != fabric.StatusOK || r.Size != size {
				return fmt.Errorf("status %d and %d bytes came back for %d: %s", r.Status, r.Size, size, r.Text)
			}
		}
		if c.berth.hasDied(c.process) || c.berth.site.link.isClosed() {
			return errors.New("its process ended, or its executor manager, before it answered")
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("no answer to %d bytes in %v", size, probePatience)
		}
	}
	if !bytes.Equal(in, out) {
		return fmt.Errorf("%d bytes came back changed", size)
	}
	return nil
}

// tampering is what tests do to clients before they are used: they put faults between them and their
// transports. Nothing but this package's tests can set it.
var tampering atomic.Pointer[func(*fabric.Client)]
