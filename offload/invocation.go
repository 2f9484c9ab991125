package offload

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/sublet-hpc/sublet/internal/fabric"
)

// invocation is what a Future stands for. It ends exactly once.
//
//	sent ── answered, ended by its context, or lost for good ──▶ ended ── waited for ──▶ to be used again
//	  ▲ │ its executor lost
//	  │ ▼
//	waiting for another executor (rerun.go)
type invocation struct {
	// uses says how often this piece of memory has been used, and by how many it is waited for (future.go).
	uses atomic.Uint64

	lease    *Lease
	function *function
	ctx      context.Context          // of Invoke
	blocks   [2 + maxConstants]*block // those lent: input, output, constants
	lent     int                      // how many
	regions  [maxConstants]uint32     // of the constants
	request  fabric.Request
	anywhere bool // any executor will do
	try      bool // never wait for a slot

	connection atomic.Pointer[connection] // where it was sent
	id         uint64                     // there; the connection's mu guards it and expired
	expired    error                      // why the invocation should have ended
	large      bool                       // its payloads must be moved by somebody who polls
	// kept: somebody besides those who wait may look at it when it has ended, so it is not used again.
	kept    bool
	reruns  int
	crashes int // executors that ended while they ran it

	// unwatch stops watching ctx; nil if that can not end.
	unwatch func() bool

	size   int
	err    error
	inCall time.Duration
	// waiting is nil, a channel that the ending closes, or, at the very end, endedChannel.
	waiting atomic.Pointer[chan struct{}]
}

var endedChannel = func() *chan struct{} { c := make(chan struct{}); close(c); return &c }()

// hasEnded tells whether the result is known.
func (f *invocation) hasEnded() bool { return f.waiting.Load() == endedChannel }

// prepare makes an invocation that has its buffers lent, or has ended.
func (l *Lease) prepare(name string, in, out Payload, constants []*Constant) *invocation {
	f := newInvocation()
	f.lease = l
	err := f.fill(name, in, out, constants)
	if err == nil {
		err = f.lend()
	}
	if err != nil {
		f.lent = 0
		f.end(0, err)
	}
	return f
}

// fill writes the request.
func (f *invocation) fill(name string, in, out Payload, constants []*Constant) error {
	fn := f.lease.find(name)
	if fn == nil {
		return unknownFunction(name, f.lease.want.Library, f.lease.known)
	}
	if len(constants) > maxConstants {
		return fmt.Errorf("offload: an invocation of %s names %d constants; at most %d", name, len(constants), maxConstants)
	}
	f.function, f.request.Function = fn, fn.index
	f.lent = 0
	f.request.Input, f.request.Output = fabric.Payload{}, fabric.Payload{}
	if in != nil {
		f.request.Input = f.name(in)
	}
	if out != nil {
		f.request.Output = f.name(out)
	}
	for i, constant := range constants {
		if constant == nil {
			return fmt.Errorf("offload: constant %d of an invocation of %s is nil", i, name)
		}
		f.blocks[f.lent] = constant.block
		f.lent++
		f.regions[i] = constant.block.region.id
	}
	f.request.Constants = f.regions[:len(constants)]
	for _, b := range f.blocks[:f.lent] {
		// Another session's region of the same number would be taken for it.
		if b.region.owner != &f.lease.session.regions {
			return fmt.Errorf("offload: an invocation of %s names a buffer or constant of another session; allocate it in the lease's own", name)
		}
	}
	return nil
}

// name adds a payload to the blocks that are going to be lent.
func (f *invocation) name(p Payload) fabric.Payload {
	payload, b := p.payload()
	if b != nil {
		f.blocks[f.lent] = b
		f.lent++
	}
	return payload
}

// lend gives the buffers and constants to the invocation.
func (f *invocation) lend() error {
	for i, b := range f.blocks[:f.lent] {
		b.lent.Add(1)
		if !b.freed.Load() {
			continue
		}
		for _, b := range f.blocks[:i+1] {
			b.lent.Add(-1)
		}
		return classify(ErrClosed, "offload: an invocation of %s names a buffer or constant that was freed", f.function.name)
	}
	return nil
}

// end makes the result known and gives the buffers back. It is called once. When it has told those who
// wait, the invocation may be another one.
func (f *invocation) end(size int, err error) {
	f.size, f.err = size, err
	if f.unwatch != nil && !f.unwatch() {
		f.kept = true // expire is on its way
	}
	f.giveBack()
	if waiting := f.waiting.Swap(endedChannel); waiting != nil {
		close(*waiting)
	}
}

// giveBack gives the buffers and constants back.
func (f *invocation) giveBack() {
	for _, b := range f.blocks[:f.lent] {
		b.lent.Add(-1)
	}
}

// send sends the invocation over a connection, or ends it, or leaves it to rerun.
func (f *invocation) send(c *connection) {
	f.large = !c.rings && max(f.request.Input.Size, f.request.Output.Size) > fabric.EagerSize
	f.connection.Store(c)
	for _, b := range f.blocks[:f.lent] {
		if c.regions.has(b.region.id) {
			continue
		}
		if err := c.introduce(f.ctx, b); err != nil {
			switch {
			case f.ctx.Err() != nil:
				f.end(0, f.overdue("before it was sent"))
			case errors.Is(err, errRefused):
				f.end(0, err)
			default:
				c.orphan(f, err)
			}
			return
		}
	}
	if f.ctx.Err() != nil { // what is sent now would only cost its executor
		f.end(0, f.overdue("before it was sent"))
		return
	}
	if f.ctx.Done() != nil && f.unwatch == nil {
		f.unwatch = context.AfterFunc(f.ctx, f.expire)
	}
	sent, err := c.submit(f)
	switch {
	case err != nil:
		f.end(0, err)
	case sent && f.ctx.Done() != nil && f.ctx.Err() != nil:
		c.expire(f) // it may have ended before there was something to expire
	}
}

// expire is called when the context of the invocation has ended.
func (f *invocation) expire() { f.connection.Load().expire(f) }

// overdue is the error of an invocation whose context ended.
func (f *invocation) overdue(when string) error { return overdue(f.ctx, f.function.name, when) }

// overdue is the error of an invocation of a function whose context ended.
func overdue(ctx context.Context, function, when string) error {
	err := fmt.Errorf("the context of an invocation of %s ended %s: %w", function, when, context.Cause(ctx))
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return &classified{class: ErrDeadline, text: err.Error(), cause: err}
	}
	return err
}

// done returns a channel that is closed when the invocation has ended.
func (f *invocation) done() <-chan struct{} {
	if waiting := f.waiting.Load(); waiting != nil {
		return *waiting
	}
	c := make(chan struct{})
	if f.waiting.CompareAndSwap(nil, &c) {
		return c
	}
	return *f.waiting.Load()
}
