package offload

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/sublet-hpc/sublet/internal/fabric"
)

// Future is an invocation that has been sent, or could not be. It ends exactly once.
//
//	sent ── answered, ended by its context, or lost for good ──▶ ended
//	  ▲ │ its executor lost
//	  │ ▼
//	waiting for another executor (rerun.go)
//
// Any number of goroutines may wait for it, and nobody needs to.
type Future struct {
	lease    *Lease
	function *function
	ctx      context.Context          // of Invoke
	lent     [2 + maxConstants]*block // input, output, constants
	regions  [maxConstants]uint32     // of the constants
	request  fabric.Request
	anywhere bool // any executor will do
	try      bool // never wait for a slot
	unshared bool // of Call: it was answered before anybody else knew of it

	connection atomic.Pointer[connection] // where it was sent
	id         uint64                     // there; the connection's mu guards it and expired
	expired    error                      // why the invocation should have ended
	large      bool                       // its payloads must be moved by somebody who polls
	reruns     int
	crashes    int // executors that ended while they ran it

	// unwatch stops watching ctx; nil if that can not end.
	unwatch func() bool

	ended  atomic.Bool
	size   int
	err    error
	inCall time.Duration
	// waiting is nil, a channel that the ending closes, or endedChannel.
	waiting atomic.Pointer[chan struct{}]
}

var endedChannel = func() *chan struct{} { c := make(chan struct{}); close(c); return &c }()

// prepare makes a future that has its buffers lent, or has ended.
func (l *Lease) prepare(name string, in, out Payload, constants []*Constant) *Future {
	f := &Future{lease: l}
	if err := f.fill(name, in, out, constants); err != nil {
		f.lent = [len(f.lent)]*block{}
		f.end(0, err)
	} else if err := f.lend(); err != nil {
		f.lent = [len(f.lent)]*block{}
		f.end(0, err)
	}
	return f
}

// fill writes the request.
func (f *Future) fill(name string, in, out Payload, constants []*Constant) error {
	fn, ok := f.lease.functions[name]
	if !ok {
		return unknownFunction(name, f.lease.want.Library, f.lease.known)
	}
	if len(constants) > maxConstants {
		return fmt.Errorf("offload: an invocation of %s names %d constants; at most %d", name, len(constants), maxConstants)
	}
	f.function, f.request.Function = fn, fn.index
	if in != nil {
		f.request.Input, f.lent[0] = in.payload()
	}
	if out != nil {
		f.request.Output, f.lent[1] = out.payload()
	}
	for i, constant := range constants {
		if constant == nil {
			return fmt.Errorf("offload: constant %d of an invocation of %s is nil", i, name)
		}
		f.lent[2+i] = constant.block
		f.regions[i] = constant.block.region.id
	}
	f.request.Constants = f.regions[:len(constants)]
	for _, b := range f.lent {
		// Another session's region of the same number would be taken for it.
		if b != nil && b.region.owner != &f.lease.session.regions {
			return fmt.Errorf("offload: an invocation of %s names a buffer or constant of another session; allocate it in the lease's own", name)
		}
	}
	return nil
}

// lend gives the buffers and constants to the invocation.
func (f *Future) lend() error {
	for i, b := range f.lent {
		if b == nil {
			continue
		}
		b.lent.Add(1)
		if !b.freed.Load() {
			continue
		}
		for _, b := range f.lent[:i+1] {
			if b != nil {
				b.lent.Add(-1)
			}
		}
		return classify(ErrClosed, "offload: an invocation of %s names a buffer or constant that was freed", f.function.name)
	}
	return nil
}

// end makes the result known and gives the buffers back. It is called once.
func (f *Future) end(size int, err error) {
	f.size, f.err = size, err
	if f.unwatch != nil {
		f.unwatch()
	}
	f.giveBack()
	f.ended.Store(true)
	if waiting := f.waiting.Swap(endedChannel); waiting != nil {
		close(*waiting)
	}
}

// giveBack gives the buffers and constants back.
func (f *Future) giveBack() {
	for _, b := range f.lent {
		if b != nil {
			b.lent.Add(-1)
		}
	}
}

// send sends the invocation over a connection, or ends it, or leaves it to rerun.
func (f *Future) send(c *connection) {
	f.large = c.client.Path().Transport != fabric.Ring && max(f.request.Input.Size, f.request.Output.Size) > fabric.EagerSize
	f.connection.Store(c)
	for _, b := range f.lent {
		if b == nil || c.regions.has(b.region.id) {
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
func (f *Future) expire() { f.connection.Load().expire(f) }

// overdue is the error of an invocation whose context ended.
func (f *Future) overdue(when string) error {
	err := fmt.Errorf("the context of an invocation of %s ended %s: %w", f.function.name, when, context.Cause(f.ctx))
	if errors.Is(f.ctx.Err(), context.DeadlineExceeded) {
		return &classified{class: ErrDeadline, text: err.Error(), cause: err}
	}
	return err
}

// done returns a channel that is closed when the invocation has ended.
func (f *Future) done() <-chan struct{} {
	if waiting := f.waiting.Load(); waiting != nil {
		return *waiting
	}
	c := make(chan struct{})
	if f.waiting.CompareAndSwap(nil, &c) {
		return c
	}
	return *f.waiting.Load()
}

// Wait returns the output's size in bytes when the invocation has ended, or why it failed:
// [*FunctionError], [*ExecutorLost], [ErrOutputTooSmall] and what [Lease.Invoke] lists. The end of
// ctx only ends the waiting, with ctx.Err(): the invocation goes on, and its buffers stay lent.
//
// It spins for as long as the lease's HotTimeout, because what it waits for is usually
// microseconds away, and then sleeps.
func (f *Future) Wait(ctx context.Context) (int, error) {
	if !f.ended.Load() {
		if c := f.connection.Load(); c != nil {
			if err := c.await(ctx, f); err != nil {
				return 0, err
			}
		}
		select { // it may have gone to another executor, and is seen to there
		case <-f.done():
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	return f.size, f.err
}

// InFunction is how long the function itself ran, as the executor measured it; 0 before the end.
func (f *Future) InFunction() time.Duration {
	if !f.ended.Load() {
		return 0
	}
	return f.inCall
}
