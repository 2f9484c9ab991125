package offload

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/sublet-hpc/sublet/internal/fabric"
)

// Operands are what one of many calls works on, and, afterwards, how it ended.
type Operands struct {
	In, Out Payload // may be nil
	Size    int     // result: bytes of output
	Err     error   // result
}

// CallAll calls a function with each of calls, as many at once as the executors have slots for, and returns
// when all have ended: with nil, or the error of the first that failed; each one's own is in its Operands.
// It costs much less than as many of Call, because a slot is used again without coming back to Go. What
// ctx governs is as of [Lease.Call]; what is not sent when it ends has [ErrDeadline] or why it was canceled.
func (l *Lease) CallAll(ctx context.Context, function string, calls []Operands, constants ...*Constant) error {
	if len(l.executors) == 1 || len(calls) <= fabric.DefaultSlots {
		l.callAll(ctx, nil, function, calls, constants)
		return firstError(calls)
	}
	// Whoever is done takes the next few: not all executors and calls are equally fast.
	few := min(fabric.Batch, max(fabric.DefaultSlots, len(calls)/(4*len(l.executors))))
	var next atomic.Int64
	var all sync.WaitGroup
	work := func(e *Executor) {
		for {
			lo := int(next.Add(1)-1) * few
			if lo >= len(calls) {
				return
			}
			l.callAll(ctx, e, function, calls[lo:min(lo+few, len(calls))], constants)
		}
	}
	for _, e := range l.executors[1:] {
		all.Go(func() { work(e) })
	}
	work(l.executors[0])
	all.Wait()
	return firstError(calls)
}

// CallAll is Lease.CallAll on this executor, and on no other: what is lost with it is not run again.
func (e *Executor) CallAll(ctx context.Context, function string, calls []Operands, constants ...*Constant) error {
	b := batch{lease: e.lease, function: function, constants: constants, own: e, pinned: true}
	b.run(ctx, calls)
	return firstError(calls)
}

func firstError(calls []Operands) error {
	for i := range calls {
		if calls[i].Err != nil {
			return calls[i].Err
		}
	}
	return nil
}

// callAll calls through one goroutine: with executor e as long as it is ready, or, if e is nil, with the
// one that has the least to do.
func (l *Lease) callAll(ctx context.Context, e *Executor, function string, calls []Operands, constants []*Constant) {
	b := batch{lease: l, function: function, constants: constants, own: e}
	b.run(ctx, calls)
}

// batch is a run of calls that one goroutine sees to.
type batch struct {
	lease     *Lease
	function  string
	constants []*Constant
	own       *Executor
	pinned    bool // to it

	// Those that were sent and not answered while they streamed, in their order.
	sent  [2 * fabric.DefaultSlots]Future
	calls [2 * fabric.DefaultSlots]*Operands
	count int
}

// run has the short way do what it can; what it can not (a buffer that the executor has to be given,
// a full connection, a lost executor) takes the way of Invoke and Wait.
func (b *batch) run(ctx context.Context, calls []Operands) {
	for len(calls) > 0 {
		if hasEnded(ctx) {
			break
		}
		n := 0
		if c := b.choose(); c != nil {
			n = c.stream(ctx, b, calls[:min(len(calls), fabric.Batch)])
		}
		if n == 0 {
			b.wait(ctx, len(b.sent)-1)
			b.keep(b.invoke(ctx, &calls[0]), &calls[0])
			n = 1
		}
		calls = calls[n:]
		b.wait(ctx, len(b.sent)-fabric.DefaultSlots-1)
	}
	for i := range calls {
		calls[i].Size, calls[i].Err = 0, overdue(ctx, b.function, "before it was sent")
	}
	b.wait(ctx, 0)
}

func (b *batch) choose() *connection {
	if b.own != nil {
		return b.own.usable()
	}
	c, _ := b.lease.choose()
	return c
}

func (b *batch) invoke(ctx context.Context, o *Operands) Future {
	if b.pinned {
		return b.own.Invoke(ctx, b.function, o.In, o.Out, b.constants...)
	}
	return b.lease.Invoke(ctx, b.function, o.In, o.Out, b.constants...)
}

// keep notes what has to be waited for.
func (b *batch) keep(f Future, o *Operands) {
	b.sent[b.count], b.calls[b.count] = f, o
	b.count++
}

// wait waits for the oldest until there are no more than most.
func (b *batch) wait(ctx context.Context, most int) {
	done := 0
	for ; b.count-done > most; done++ {
		b.calls[done].Size, b.calls[done].Err = b.sent[done].Wait(ctx)
	}
	copy(b.sent[:], b.sent[done:b.count])
	copy(b.calls[:], b.calls[done:b.count])
	b.count -= done
}

// stream sends calls as slots become free and harvests meanwhile, in one crossing into C. It returns how
// many of them, from the first, were sent; those without an answer are kept in b, 8 at most.
func (c *connection) stream(ctx context.Context, b *batch, calls []Operands) int {
	if !c.mu.TryLock() {
		return 0
	}
	defer c.mu.Unlock()
	if c.refuses() {
		return 0
	}
	n := c.lendAll(b, calls)
	if n == 0 {
		return 0
	}
	c.watchStalls()
	c.load.Add(int32(n))
	submitted, responses, err := c.client.Stream(c.requests[:n], spinSlice)
	first := c.client.Submitted() - uint64(submitted) + 1
	others := 0 // that were in flight before
	for others < len(responses) && responses[others].ID < first {
		others++
	}
	c.endAnswered(responses[:others]) // before their slots are given to new ones
	answered := responses[others:]
	for i := range answered {
		response, f := &answered[i], c.streamed[i]
		o := &calls[i]
		o.Size, o.Err = response.Size, nil
		if response.Status != fabric.StatusOK {
			o.Err = c.berth.executor.explain(f, response)
		}
		f.giveBack()
	}
	for i := len(answered); i < submitted; i++ {
		f := c.streamed[i]
		c.streamed[i] = newInvocation()
		b.keep(c.goOn(ctx, f, first+uint64(i), !b.pinned), &calls[i])
	}
	for _, f := range c.streamed[submitted:n] {
		f.giveBack()
	}
	c.load.Add(int32(submitted - len(answered) - n))
	if c.file(nil, err) && len(responses) > 0 {
		c.endExpired()
	}
	return submitted
}

// lendAll prepares invocations of calls, up to the first that needs more than that, and returns how many.
// mu is held.
func (c *connection) lendAll(b *batch, calls []Operands) int {
	if c.streamed == nil {
		c.streamed = make([]*invocation, fabric.Batch)
		c.requests = make([]*fabric.Request, fabric.Batch)
	}
	for i := range calls {
		f := c.streamed[i]
		if f == nil {
			f = newInvocation()
			c.streamed[i] = f
		}
		f.lease = b.lease
		if !c.prepare(f, b.function, calls[i].In, calls[i].Out, b.constants) {
			return i
		}
		c.requests[i] = &f.request
	}
	return len(calls)
}

// goOn makes an invocation that was submitted by the short way one like any other. mu is held.
func (c *connection) goOn(ctx context.Context, f *invocation, id uint64, anywhere bool) Future {
	f.ctx, f.anywhere, f.id = ctx, anywhere, id
	c.inFlight[c.slot(id)] = f
	f.connection.Store(c)
	if ctx.Done() != nil {
		f.unwatch = context.AfterFunc(ctx, f.expire)
	}
	return f.future()
}
