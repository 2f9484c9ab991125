package offload

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"unsafe"

	"github.com/sublet-hpc/sublet/internal/fabric"
)

// probe proves that the connection carries requests and responses of all kinds: what a provider says that
// it can do is a hint. So every executor's own function, which copies its input, is called over it once for
// each way that a payload can take. Nobody else uses the connection yet. If it does not work, the client is
// closed.
func (c *connection) probe(ctx context.Context) error {
	memory := &c.berth.site.lease.session.regions
	size := fabric.Probes[len(fabric.Probes)-1].Size
	b, err := memory.allocate(fabric.Buffers, 2*size)
	if err != nil {
		c.closeClient()
		return err
	}
	enough := c.letGo(ctx)
	err = c.introduce(ctx, b)
	for _, p := range fabric.Probes {
		if err == nil {
			whole := fabric.Payload{Address: unsafe.Pointer(&b.bytes()[0]), Size: 2 * size, Region: b.region.id, Offset: uint64(b.offset)}
			err = c.client.CallProbe(whole, p.Size, func() error { return c.mayAnswer(ctx) })
		}
		if err != nil {
			if errors.Is(err, fabric.ErrNoAnswer) || errors.Is(err, context.DeadlineExceeded) {
				err = fmt.Errorf("%w; %s", err, c.whyNoAnswer())
			}
			path := c.client.Path()
			err = fmt.Errorf("%s over %s was tried and does not work: %s: %w", path.Transport, path.Provider, p.Way, err)
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

// whyNoAnswer asks the executor's process, on the way that is not in doubt, what its loop does.
func (c *connection) whyNoAnswer() string {
	progress, err := c.askProgress(stalls().answer)
	if err != nil {
		return fmt.Sprintf("nor does its process say what it does: %v", err)
	}
	return fmt.Sprintf("of %d requests it has begun %d: %s", c.client.Submitted(), progress.Begun, progress.Loop)
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

// mayAnswer returns why a connection that is tried will not answer any more.
func (c *connection) mayAnswer(ctx context.Context) error {
	if c.berth.hasDied(c.process) || c.berth.site.link.isClosed() {
		return errors.New("its process ended, or its executor manager, before it answered")
	}
	return ctx.Err()
}

// tampering is what tests do to clients before they are used: they put faults between them and their
// transports. Nothing but this package's tests can set it.
var tampering atomic.Pointer[func(*fabric.Client)]
