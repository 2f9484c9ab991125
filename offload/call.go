package offload

import (
	"context"
	"sync"

	"github.com/sublet-hpc/sublet/internal/fabric"
)

// Call is Invoke and Wait in one, for callers who have nothing else to do meanwhile: it costs less,
// and allocates nothing. What it returns, and what ctx governs, is as of [Lease.Invoke] and [Future.Wait];
// when ctx ends it returns at once.
func (l *Lease) Call(ctx context.Context, function string, in, out Payload, constants ...*Constant) (int, error) {
	f := spare.Get().(*Future)
	f.lease, f.ctx, f.anywhere = l, ctx, true
	err := f.fill(function, in, out, constants)
	if err == nil {
		err = f.lend()
	}
	if err != nil {
		f.recycle()
		return 0, err
	}
	c, _ := l.choose()
	if c == nil || !c.call(f) {
		l.dispatch(f)
		return f.Wait(ctx)
	}
	if f.unshared {
		size, err := f.size, f.err
		f.recycle()
		return size, err
	}
	return f.Wait(ctx)
}

// spare are futures that nobody knows any more.
var spare = sync.Pool{New: func() any { return &Future{} }}

func (f *Future) recycle() {
	*f = Future{}
	spare.Put(f)
}

// call sends an invocation that needs no preparation, and spins a while for its response, in one
// crossing into C. False: nothing was done, and it takes the general way. If the response came, nobody
// else has seen the future: it is unshared.
func (c *connection) call(f *Future) (sent bool) {
	if c.client.Path().Transport != fabric.Ring && max(f.request.Input.Size, f.request.Output.Size) > fabric.EagerSize {
		return false // somebody has to move it
	}
	for _, b := range f.lent {
		if b != nil && !c.regions.has(b.region.id) {
			return false
		}
	}
	if f.ctx.Done() != nil && f.ctx.Err() != nil || !c.mu.TryLock() {
		return false
	}
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.watchStalls()
	c.load.Add(1) // before it spins: others choose meanwhile
	slice := spinSlice
	if c.client.Submitted() == c.client.Harvested() { // nobody else's response would wait for ours
		slice = aloneSlice
	}
	id, responses, err := c.client.SubmitAndHarvest(&f.request, slice)
	if id == 0 {
		c.load.Add(-1)
		return false // all slots are in use, or the executor is lost: the general way knows what to do
	}
	if n := len(responses); n > 0 && responses[n-1].ID == id { // the last of all that were in flight
		c.file(responses[:n-1], err)
		c.load.Add(-1)
		answer := &responses[n-1]
		f.size, f.err, f.unshared = answer.Size, c.berth.executor.explain(f, answer), true
		f.giveBack()
		return true
	}
	f.id = id
	c.inFlight[c.slot(id)] = f
	c.file(responses, err)
	f.connection.Store(c)
	if f.ctx.Done() != nil {
		f.unwatch = context.AfterFunc(f.ctx, f.expire)
	}
	return true
}
