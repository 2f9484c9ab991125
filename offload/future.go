package offload

import (
	"context"
	"sync/atomic"
	"time"
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
	lent       [2 + maxConstants]*block
	capacity   int
	large      bool // its payloads must be moved by somebody who polls

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

// lend notes that the invocation may use the block.
func (f *Future) lend(i int, b *block) {
	if b != nil {
		f.lent[i] = b
		b.lent.Add(1)
	}
}

// Done returns a channel that is closed when the invocation has ended, for select statements.
// Waiting on it alone makes nothing move over networks that want to be polled; Wait does.
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
