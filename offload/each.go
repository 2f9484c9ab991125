package offload

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// Each invokes a function once on each executor of the lease, and returns when all invocations have been sent; [Collective.Wait]
// has their results. in and out say what is whose, and may be nil:
//
//	each := lease.Each(ctx, "task", offload.Scatter(x), offload.Gather(y))  // piece i of x through executor i to piece i of y
//	each := lease.Each(ctx, "task", offload.Broadcast(x), offload.Gather(y))
//	...                                                                     // compute something else meanwhile
//	sizes, err := each.Wait(ctx)
//
// An executor whose pieces are empty, because their counts are 0, is not invoked. What ctx governs, what constants are, and what becomes of what is
// lost with an executor is as of [Lease.Invoke]: another one runs it again, on the same pieces. So it is with the piece of an
// executor that is being replaced. Each is no barrier: an executor begins when it has its piece, whatever the others do.
func (l *Lease) Each(ctx context.Context, function string, in, out Pieces, constants ...*Constant) *Collective {
	c := &Collective{lease: l, sizes: make([]int, len(l.executors))}
	inputs, errIn := cut(in, len(l.executors))
	outputs, errOut := cut(out, len(l.executors))
	if c.failure = errors.Join(errIn, errOut); c.failure != nil {
		return c
	}
	c.sent = make([]*Future, len(l.executors))
	for i, e := range l.executors {
		input, output := inputs(i), outputs(i)
		if (input.none || output.none) && input.isEmpty() && output.isEmpty() {
			continue
		}
		future := e.invokeFirst(ctx, function, input.payload, output.payload, constants)
		c.sent[i] = &future
	}
	return c
}

// invokeFirst is Lease.Invoke, but for that this executor is asked first.
func (e *Executor) invokeFirst(ctx context.Context, function string, in, out Payload, constants []*Constant) Future {
	f := e.lease.prepare(function, in, out, constants)
	future := f.future()
	if f.hasEnded() {
		return future
	}
	f.ctx, f.anywhere = ctx, true
	if c := e.usable(); c != nil {
		f.send(c)
	} else {
		e.lease.dispatch(f)
	}
	return future
}

// Collective is what [Lease.Each] has sent.
type Collective struct {
	lease *Lease

	mu      sync.Mutex
	sent    []*Future // by executor; nil: not invoked, or its result is taken
	sizes   []int
	failure error // of those whose results are taken
}

// Wait returns when all invocations have ended, with the size of each one's output in bytes, by executor, or with the errors of all that failed; then the
// others' outputs are there as well, and their sizes. errors.Is and errors.As find what [Future.Wait] lists. The end of ctx only
// ends the waiting, with ctx.Err(): another Wait goes on. When all have ended, it returns the same once more.
func (c *Collective) Wait(ctx context.Context) ([]int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, future := range c.sent {
		if future == nil {
			continue
		}
		size, err := future.Wait(ctx)
		if err != nil && !future.isTaken() {
			return nil, err
		}
		c.sent[i], c.sizes[i] = nil, size
		if err != nil {
			c.failure = errors.Join(c.failure, fmt.Errorf("offload: piece %d of %d: %w", i, len(c.sizes), err))
		}
	}
	return c.sizes, c.failure
}

// isTaken tells whether the result has been returned.
func (f Future) isTaken() bool {
	if f.invocation == nil || !f.invocation.enter(f.use) {
		return true
	}
	f.invocation.leave(0)
	return false
}
