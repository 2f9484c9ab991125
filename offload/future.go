package offload

import (
	"context"
	"sync"
	"time"
)

// Future stands for an invocation that has been sent, or could not be. It is a small value, to be copied
// freely; the zero Future stands for none. Nobody needs to wait for it.
//
// The first Wait that returns the invocation's result takes it: what Sublet kept of the invocation is used
// for the next one, so that invoking allocates nothing. Several goroutines may wait at once; those who do
// when it ends all get the result. A later Wait returns [ErrWaited].
type Future struct {
	invocation *invocation
	use        uint64
}

// An invocation's uses: which use of its memory this is, whether its result was taken, and how many
// goroutines wait for it. When the result was taken and the last of them has left, the next use begins, of
// which no Future knows yet.
const (
	waiter     = 1
	waiters    = 1<<20 - 1
	taken      = 1 << 20
	oneUse     = 1 << 21
	numberMask = ^uint64(oneUse - 1)
)

// invocations are those that nobody knows any more.
var invocations = sync.Pool{New: func() any { return &invocation{} }}

func newInvocation() *invocation { return invocations.Get().(*invocation) }

// future is for the caller of Invoke. Nobody else has one.
func (f *invocation) future() Future { return Future{f, f.uses.Load() & numberMask} }

// enter begins to wait; false: it is over.
func (f *invocation) enter(use uint64) bool {
	for {
		now := f.uses.Load()
		if now&numberMask != use {
			return false
		}
		if f.uses.CompareAndSwap(now, now+waiter) {
			return true
		}
	}
}

// leave ends the waiting, with the result or without.
func (f *invocation) leave(result uint64) {
	for {
		now := f.uses.Load()
		next := (now - waiter) | result
		over := next&waiters == 0 && next&taken != 0
		if over {
			next = now&numberMask + oneUse
		}
		if f.uses.CompareAndSwap(now, next) {
			if over {
				f.recycle()
			}
			return
		}
	}
}

// recycle has the memory used again, which no Future stands for any more.
func (f *invocation) recycle() {
	if f.kept {
		return
	}
	clear(f.blocks[:f.lent])
	f.lease, f.function, f.ctx, f.lent = nil, nil, nil, 0
	f.anywhere, f.try, f.large = false, false, false
	f.id, f.expired, f.reruns, f.crashes, f.unwatch = 0, nil, 0, 0, nil
	f.size, f.err, f.inCall = 0, nil, 0
	f.connection.Store(nil)
	f.waiting.Store(nil)
	invocations.Put(f)
}

// Result is how an invocation ended that succeeded.
type Result struct {
	Size       int           // bytes of output
	InFunction time.Duration // how long the function itself ran, as the executor measured it
}

// Wait returns the output's size in bytes when the invocation has ended, or why it failed:
// [*FunctionError], [*ExecutorLost], [ErrOutputTooSmall] and what [Lease.Invoke] lists. The end of
// ctx only ends the waiting, with ctx.Err(): the invocation goes on, and its buffers stay lent.
//
// It spins for as long as the lease's HotTimeout, because what it waits for is usually
// microseconds away, and then sleeps.
func (f Future) Wait(ctx context.Context) (int, error) {
	result, err := f.Result(ctx)
	return result.Size, err
}

// Result is Wait for those who want to know more.
func (f Future) Result(ctx context.Context) (Result, error) {
	end, err := f.wait(ctx)
	return Result{end.size, end.inCall}, err
}

// ending is all that is to be known of an invocation that has ended.
type ending struct {
	size     int
	inCall   time.Duration
	function *function // nil if there is none of that name
	capacity int       // of its output
	bytes    int       // of input and output
	crashes  int
}

func (f Future) wait(ctx context.Context) (end ending, err error) {
	i := f.invocation
	if i == nil || !i.enter(f.use) {
		return end, ErrWaited
	}
	if err := i.await(ctx); err != nil {
		i.leave(0)
		return end, err
	}
	end, err = ending{i.size, i.inCall, i.function, i.request.Output.Size, i.request.Input.Size + i.size, i.crashes}, i.err
	i.leave(taken)
	return end, err
}

// Ended tells, without waiting, whether Wait would return at once.
func (f Future) Ended() bool { return f.poll(0) }

// poll looks for so long whether the invocation has ended, and files what has come.
func (f Future) poll(budget time.Duration) bool {
	i := f.invocation
	if i == nil || !i.enter(f.use) {
		return true
	}
	defer i.leave(0)
	if i.hasEnded() {
		return true
	}
	if c := i.connection.Load(); c != nil && c.mu.TryLock() {
		if !c.closed && !i.hasEnded() {
			c.harvest(i.id, budget)
		}
		c.mu.Unlock()
	}
	return i.hasEnded()
}

// doze returns when the invocation or ctx has ended. It does not spin.
func (f Future) doze(ctx context.Context) {
	i := f.invocation
	if i == nil || !i.enter(f.use) {
		return
	}
	defer i.leave(0)
	if c := i.connection.Load(); c != nil && !i.hasEnded() {
		_ = c.sleep(ctx, i)
	}
	select { // it may be on its way elsewhere
	case <-i.done():
	case <-ctx.Done():
	}
}

// await returns when the invocation or ctx has ended.
func (f *invocation) await(ctx context.Context) error {
	if f.hasEnded() {
		return nil
	}
	if c := f.connection.Load(); c != nil {
		if err := c.await(ctx, f); err != nil || f.hasEnded() {
			return err
		}
	}
	select { // it may have gone to another executor, and is seen to there
	case <-f.done():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
