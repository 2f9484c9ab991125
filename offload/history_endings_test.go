package offload_test

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/sublet-hpc/sublet/offload"
)

// settle waits for the end of an order, at most that long, and takes its buffers back: from here on
// nobody else may touch them.
func (h *history) settle(o *order, wait time.Duration) {
	if o.settled {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	h.must(o.wait(ctx)) // the waiting may have ended before the order
	if o.future.Pending() {
		if wait >= patience {
			h.Fatalf("order %d (action %d, %d bytes) has no ending", o.number, o.action, o.in.Len())
		}
		return
	}
	h.must(o.wait(context.Background()))
	h.awaitBackground(o) // it may have the result
	size, err := o.size, o.err
	o.settled = true
	switch {
	case !o.over:
		h.Fatalf("order %d has ended, and nobody has its result", o.number)
	case err == nil && o.action != succeed:
		h.Fatalf("order %d, of action %d, succeeded", o.number, o.action)
	case err == nil && (size != len(o.want) || !bytes.Equal(o.out.Slice(), o.want)):
		h.Fatalf("order %d: %d bytes, or wrong ones", o.number, size)
	case err != nil:
		h.explained(o)
	}
	pattern(o.in.Slice(), o.number+1000)
	pattern(o.out.Slice(), o.number+2000)
}

// explained fails for an error that this history has no reason for.
func (h *history) explained(o *order) {
	var lost *offload.ExecutorLost
	var failed *offload.FunctionError
	if h.quiet && !h.released && o.action == succeed {
		h.Fatalf("nothing happened, and order %d failed: %v", o.number, o.err)
	}
	switch {
	case errors.As(o.err, &failed):
		// A status that was changed on its way is one that the function did not return.
		if o.action != fail && h.quiet {
			h.Fatalf("order %d, of action %d: %v", o.number, o.action, o.err)
		}
	case errors.Is(o.err, offload.ErrPoison):
		if o.pinned {
			h.Fatalf("order %d was for one executor, and ended two: %v", o.number, o.err)
		}
	case errors.As(o.err, &lost):
		// What any executor may run is only lost when none is left.
	case errors.Is(o.err, context.DeadlineExceeded), errors.Is(o.err, context.Canceled):
		if o.ctx.Err() == nil {
			h.Fatalf("the context of order %d has not ended: %v", o.number, o.err)
		}
	case errors.Is(o.err, offload.ErrClosed):
		if !h.released {
			h.Fatalf("order %d: %v", o.number, o.err)
		}
	default:
		if h.quiet {
			h.Fatalf("order %d: %v", o.number, o.err)
		}
	}
}

// check looks at an order once more when everything is over: it has the same ending, and nobody has
// touched its buffers since.
func (h *history) check(o *order) {
	if _, err := o.future.Wait(within(h.test)); !errors.Is(err, offload.ErrWaited) {
		h.Fatalf("order %d has ended twice: with %d, %v and with %v", o.number, o.size, o.err, err)
	}
	want := make([]byte, o.in.Len())
	for which, b := range []*offload.Buffer[byte]{o.in, o.out} {
		pattern(want, o.number+1000*uint64(which+1))
		if !bytes.Equal(b.Slice(), want) {
			h.Fatalf("a buffer of order %d, which ended with %v, was written after its end", o.number, o.err)
		}
	}
}

// awaitBackground returns when nobody else waits for an order that has ended.
func (h *history) awaitBackground(o *order) {
	if o.background == nil {
		return
	}
	select {
	case <-o.background:
		h.must(o.failure)
	case <-time.After(patience):
		h.Fatalf("who waits for order %d waits for ever", o.number)
	}
}

// tally is what has happened, so that a test in which nothing does fails.
type tally struct{ histories, invocations, right, rescued, failed, lost, poisoned, busy, ended, closed, faulty int }

func (sum *tally) hasAll() bool {
	return sum.right > 0 && sum.rescued > 0 && sum.failed > 0 && sum.lost > 0 && sum.poisoned > 0 && sum.busy > 0 && sum.ended > 0 && sum.faulty > 0
}

// add counts the orders of a lease that has lost so many executors.
func (sum *tally) add(orders []*order, losses int) {
	sum.invocations += len(orders)
	for _, o := range orders {
		var lost *offload.ExecutorLost
		var failed *offload.FunctionError
		switch {
		case o.err == nil:
			sum.right++
			if losses > 0 {
				sum.rescued++
			}
		case errors.As(o.err, &failed):
			sum.failed++
		case errors.Is(o.err, offload.ErrPoison):
			sum.poisoned++
		case errors.As(o.err, &lost):
			sum.lost++
		case errors.Is(o.err, offload.ErrClosed):
			sum.closed++
		default:
			sum.ended++
		}
	}
}
