package offload

import (
	"context"

	"github.com/sublet-hpc/sublet/internal/fabric"
)

// Call is Invoke and Wait in one, for callers who have nothing else to do meanwhile: it costs less.
// What it returns, and what ctx governs, is as of [Lease.Invoke] and [Future.Wait]; when ctx ends it
// returns at once.
func (l *Lease) Call(ctx context.Context, function string, in, out Payload, constants ...*Constant) (int, error) {
	if c, _ := l.choose(); c != nil {
		if size, over, err := c.call(ctx, l, function, in, out, constants); over {
			return size, err
		}
	}
	return l.Invoke(ctx, function, in, out, constants...).Wait(ctx)
}

// call sends an invocation that needs no preparation, and spins a while for its response, in one
// crossing into C or none. If it is not over then, nothing was done, and it takes the general way, or it goes on
// as any other does, and is waited for.
func (c *connection) call(ctx context.Context, l *Lease, name string, in, out Payload, constants []*Constant) (size int, over bool, err error) {
	if hasEnded(ctx) || !c.mu.TryLock() {
		return 0, false, nil
	}
	size, over, goesOn, err := c.tryCall(ctx, l, name, in, out, constants)
	c.mu.Unlock()
	if over || goesOn == (Future{}) {
		return size, over, err
	}
	size, err = goesOn.Wait(ctx)
	return size, true, err
}

// tryCall does of call what needs mu, which is held. It is over, or goes on, or neither.
func (c *connection) tryCall(ctx context.Context, l *Lease, name string, in, out Payload, constants []*Constant) (size int, over bool, goesOn Future, err error) {
	if c.refuses() {
		return 0, false, goesOn, nil
	}
	f := c.next // nobody else knows it
	if f == nil {
		f = newInvocation()
		c.next = f
	}
	f.lease = l
	if !c.prepare(f, name, in, out, constants) {
		return 0, false, goesOn, nil
	}
	c.watchStalls()
	if len(l.executors) > 1 {
		c.load.Add(1) // before it spins: others choose meanwhile
	}
	slice := spinSlice
	if c.client.Submitted() == c.client.Harvested() { // nobody else's response would wait for ours
		slice = aloneSlice
	}
	id, responses, err := c.client.SubmitAndHarvest(&f.request, slice)
	n := len(responses)
	switch {
	case id == 0: // all slots are in use, or the executor is lost: the general way knows what to do
		c.unload(l)
		f.giveBack()
		return 0, false, goesOn, nil
	case n > 0 && responses[n-1].ID == id: // the last of all that were in flight
		if n > 1 {
			c.file(responses[:n-1], err)
		}
		c.unload(l)
		answer := &responses[n-1] // the client's, until mu is given up
		if answer.Status != fabric.StatusOK {
			err = c.berth.executor.explain(f, answer)
		}
		f.giveBack()
		return answer.Size, true, goesOn, err
	}
	c.next = nil
	if len(l.executors) == 1 {
		c.load.Add(1)
	}
	goesOn = c.goOn(ctx, f, id, true)
	c.file(responses, err)
	return 0, false, goesOn, nil
}

func (c *connection) unload(l *Lease) {
	if len(l.executors) > 1 {
		c.load.Add(-1)
	}
}

func hasEnded(ctx context.Context) bool { return ctx.Done() != nil && ctx.Err() != nil }

// prepare fills an invocation and lends it its buffers; false: it can not be sent the short way, and
// nothing is lent. mu is held.
func (c *connection) prepare(f *invocation, name string, in, out Payload, constants []*Constant) bool {
	return f.fill(name, in, out, constants) == nil && c.isPrepared(f) && f.lend() == nil
}

// isPrepared tells whether the executor knows what an invocation names, and nobody has to move it.
func (c *connection) isPrepared(f *invocation) bool {
	if !c.rings && max(f.request.Input.Size, f.request.Output.Size) > fabric.EagerSize {
		return false
	}
	for _, b := range f.blocks[:f.lent] {
		if !c.regions.has(b.region.id) {
			return false
		}
	}
	return true
}
