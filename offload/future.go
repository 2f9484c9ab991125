package offload

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/sublet-hpc/sublet/internal/fabric"
)

// Future is an invocation that has been sent, or could not be. It ends exactly once.
//
//	sent ── answered, or its executor lost ──▶ ended
//
// Any number of goroutines may wait for it, and nobody needs to.
type Future struct {
	connection *connection
	function   *function
	id         uint64
	lent       [2 + maxConstants]*block // input, output, constants
	regions    [maxConstants]uint32     // of the constants
	request    fabric.Request
	large      bool // its payloads must be moved by somebody who polls
	// expired is why the invocation should have ended; the connection's mu guards it.
	expired error
	// unwatch stops watching the context of Invoke; nil if that can not end.
	unwatch func() bool

	ended  atomic.Bool
	size   int
	err    error
	inCall time.Duration
	// waiting is nil, a channel that the ending closes, or endedChannel.
	waiting atomic.Pointer[chan struct{}]
}

var endedChannel = func() *chan struct{} { c := make(chan struct{}); close(c); return &c }()

// failed returns a future that has ended before it began.
func failed(err error) *Future {
	f := &Future{}
	f.end(0, err)
	return f
}

// end makes the result known and gives the buffers back. It is called once.
func (f *Future) end(size int, err error) {
	f.size, f.err = size, err
	if f.unwatch != nil {
		f.unwatch()
	}
	for _, b := range f.lent {
		if b != nil {
			b.lent.Add(-1)
		}
	}
	f.ended.Store(true)
	if waiting := f.waiting.Swap(endedChannel); waiting != nil {
		close(*waiting)
	}
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

// send sends the invocation, or ends it. Buffers are lent.
func (f *Future) send(ctx context.Context) {
	c := f.connection
	for _, b := range f.lent {
		if b == nil || c.regions.has(b.region.id) {
			continue
		}
		if err := c.introduce(ctx, b); err != nil {
			if errors.Is(err, errRefused) || ctx.Err() != nil {
				f.end(0, err)
			} else {
				c.orphan(f, err)
			}
			return
		}
	}
	if ctx.Err() != nil { // what is sent now would only cost its executor
		f.end(0, ctx.Err())
		return
	}
	if ctx.Done() != nil {
		f.unwatch = context.AfterFunc(ctx, func() { c.expire(f, context.Cause(ctx)) })
	}
	if err := c.submit(ctx, f); err != nil {
		f.end(0, err)
	} else if ctx.Done() != nil && ctx.Err() != nil {
		c.expire(f, context.Cause(ctx)) // it may have ended before there was something to expire
	}
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
		if err := f.connection.await(ctx, f); err != nil {
			return 0, err
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
