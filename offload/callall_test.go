package offload_test

import (
	"context"
	"errors"
	"syscall"
	"testing"
	"time"

	"github.com/sublet-hpc/sublet/offload"
)

// many are calls of square, or of a function like it: call i has the input i.
func many(s *offload.Session, n int) (calls []offload.Operands, outs []*offload.Buffer[float64]) {
	for i := range n {
		in, out := offload.Alloc[float64](s, 1), offload.Alloc[float64](s, 1)
		in.Slice()[0] = float64(i)
		calls = append(calls, offload.Operands{In: in, Out: out})
		outs = append(outs, out)
	}
	return calls, outs
}

func TestCallAll(t *testing.T) {
	overTransports(t, func(t *testing.T) {
		s := session(t)
		for _, executors := range []int{1, 2} {
			l := lease(t, s, executors)
			for _, n := range []int{0, 1, 7, 300} {
				calls, outs := many(s, n)
				check(t, l.CallAll(within(t), "square", calls))
				check(t, l.Executors()[0].CallAll(within(t), "square", calls))
				for i, out := range outs {
					if calls[i].Size != 8 || out.Slice()[0] != float64(i*i) {
						t.Fatalf("call %d of %d: %d bytes, %v", i, n, calls[i].Size, out.Slice()[0])
					}
					check(t, out.Free()) // nothing is lent any more
				}
			}
			check(t, l.Release())
		}
	})
}

// Each call has an ending of its own, and the first failure is that of all.
func TestCallAllFailures(t *testing.T) {
	over(t, way{"ring", ""}, func(t *testing.T) {
		s := session(t)
		l := lease(t, s, 1)
		calls, _ := many(s, 100)
		calls[40].Out, calls[70].Out = nil, nil
		if err := l.CallAll(within(t), "square", calls); !errors.Is(err, offload.ErrOutputTooSmall) {
			t.Errorf("all: %v", err)
		}
		for i, call := range calls {
			if small := i == 40 || i == 70; errors.Is(call.Err, offload.ErrOutputTooSmall) != small || !small && (call.Err != nil || call.Size != 8) {
				t.Errorf("call %d: %d bytes, %v", i, call.Size, call.Err)
			}
		}
		if err := l.CallAll(within(t), "cube", calls); !errors.Is(err, offload.ErrUnknownFunction) || calls[99].Err == nil {
			t.Errorf("a function that there is not: %v", err)
		}
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		if err := l.CallAll(ended, "square", calls); !errors.Is(err, context.Canceled) || !errors.Is(calls[99].Err, context.Canceled) {
			t.Errorf("a context that had ended: %v, %v", err, calls[99].Err)
		}
		late, cancel := context.WithDeadline(context.Background(), time.Unix(0, 0))
		defer cancel()
		if err := l.CallAll(late, "square", calls); !errors.Is(err, offload.ErrDeadline) || !errors.Is(calls[99].Err, offload.ErrDeadline) {
			t.Errorf("past its deadline: %v, %v", err, calls[99].Err)
		}
	})
}

// Functions that take their time, and an executor that is lost meanwhile, change nothing.
func TestCallAllOutlivesAnExecutor(t *testing.T) {
	overProtocols(t, func(t *testing.T) {
		s := session(t)
		l := lease(t, s, 2)
		var calls []offload.Operands
		var outs []*offload.Buffer[uint32]
		for range 60 {
			in, out := offload.Alloc[uint32](s, 1), offload.Alloc[uint32](s, 1)
			in.Slice()[0] = 10
			calls, outs = append(calls, offload.Operands{In: in, Out: out}), append(outs, out)
		}
		ended := make(chan error, 1)
		go func() { ended <- l.CallAll(within(t), "nap_and_echo", calls) }()
		waitFor(t, "first calls", l.Executors()[0].Busy)
		check(t, syscall.Kill(l.Executors()[0].PID(), syscall.SIGKILL))
		check(t, <-ended)
		for i, out := range outs {
			if calls[i].Size != 4 || out.Slice()[0] != 10 {
				t.Errorf("call %d: %d bytes, %d", i, calls[i].Size, out.Slice()[0])
			}
		}
		if l.Lost() != 1 {
			t.Errorf("%d executors were lost", l.Lost())
		}
	})
}

// What one executor does, and for how long, is nothing to another one.
func TestSlowFunctionDelaysNoOtherExecutor(t *testing.T) {
	overProtocols(t, func(t *testing.T) {
		s := session(t)
		l := lease(t, s, 2)
		long := offload.Alloc[uint32](s, 1)
		long.Slice()[0] = 600_000 // until the lease is released
		slow := l.Executors()[0].Invoke(context.Background(), "nap", long, nil)
		calls, outs := many(s, 200)
		check(t, l.Executors()[1].CallAll(within(t), "square", calls))
		for i, out := range outs {
			_, err := l.Call(within(t), "square", calls[i].In, out) // it goes to the one with less to do
			check(t, err)
		}
		if !slow.Pending() {
			t.Error("the slow one has ended")
		}
		check(t, l.Release())
		if _, err := slow.Wait(within(t)); !errors.Is(err, offload.ErrClosed) {
			t.Errorf("the slow one: %v", err)
		}
	})
}
