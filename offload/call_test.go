package offload_test

import (
	"context"
	"errors"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sublet-hpc/sublet/offload"
)

// Calls give what invocations give, with payloads of all kinds, constants, and each sort of failure.
func TestCall(t *testing.T) {
	overTransports(t, func(t *testing.T) {
		s := session(t)
		l := lease(t, s, 2)
		for _, n := range []int{0, 1, 4, 1000, 20_000} {
			in, out := offload.Alloc[float64](s, n), offload.Alloc[float64](s, n)
			for round := range 20 {
				for i := range in.Slice() {
					in.Slice()[i] = float64(round + i)
				}
				size, err := l.Call(within(t), "square", in, out)
				if err != nil || size != 8*n {
					t.Fatalf("%d numbers: %d bytes, %v", n, size, err)
				}
				for i, v := range out.Slice() {
					if want := float64(round+i) * float64(round+i); v != want {
						t.Fatalf("%d numbers: %g at %d, want %g", n, v, i, want)
					}
				}
			}
			check(t, in.Free()) // it is ours again
		}
		ones, err := s.Constant(offload.Bytes([]float64{1, 1}))
		check(t, err)
		in, out := offload.Alloc[float64](s, 2), offload.Alloc[float64](s, 2)
		for range 5 {
			if _, err := l.Call(within(t), "add", in, out, ones); err != nil || out.Slice()[1] != 1 {
				t.Errorf("with a constant: %v, %v", out.Slice(), err)
			}
		}
		if _, err := l.Call(within(t), "no_such_function", nil, nil); !errors.Is(err, offload.ErrUnknownFunction) {
			t.Errorf("an unknown function: %v", err)
		}
		var failed *offload.FunctionError
		if _, err := l.Call(within(t), "fail", nil, nil); !errors.As(err, &failed) || failed.Code != 9 {
			t.Errorf("a function that fails: %v", err)
		}
		if _, err := l.Call(within(t), "square", in, out.Sub(0, 1)); !errors.Is(err, offload.ErrOutputTooSmall) {
			t.Errorf("too small an output: %v", err)
		}
		check(t, out.Free())
		if _, err := l.Call(within(t), "crash", in, nil); !errors.Is(err, offload.ErrPoison) {
			t.Errorf("an input that always crashes: %v", err)
		}
		check(t, in.Free())
		check(t, l.Release())
		if _, err := l.Call(within(t), "fail", nil, nil); !errors.Is(err, offload.ErrClosed) {
			t.Errorf("of a lease that was released: %v", err)
		}
	})
}

// What is lost with its executor is run again.
func TestCallSurvivesItsExecutor(t *testing.T) {
	overProtocols(t, func(t *testing.T) {
		s := session(t)
		l := lease(t, s, 1)
		in, out := offload.Alloc[uint32](s, 1), offload.Alloc[uint32](s, 1)
		in.Slice()[0] = 300
		first := l.Executors()[0].PID()
		ended := make(chan error, 1)
		go func() {
			size, err := l.Call(within(t), "nap_and_echo", in, out)
			if err == nil && (size != 4 || out.Slice()[0] != 300) {
				err = errors.New("a wrong output")
			}
			ended <- err
		}()
		check(t, syscall.Kill(first, syscall.SIGKILL))
		check(t, <-ended)
	})
}

// The end of a context ends the call, and its function.
func TestCallEndsWithItsContext(t *testing.T) {
	overProtocols(t, func(t *testing.T) {
		s := session(t)
		l := lease(t, s, 1)
		in, out := offload.Alloc[uint32](s, 1), offload.Alloc[uint32](s, 1)
		_, err := l.Call(within(t), "echo", in, out)
		check(t, err)
		in.Slice()[0] = 60_000
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		defer cancel()
		if _, err := l.Call(ctx, "nap", in, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("past its deadline: %v", err)
		}
		if _, err := l.Call(ctx, "echo", in, out); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("after its deadline: %v", err)
		}
		waitFor(t, "the function's end with its executor", func() bool { return l.Lost() == 1 })
		_, err = l.Call(within(t), "echo", in, out)
		check(t, err)
	})
}

// Calls, invocations that nobody waits for, and waiting goroutines do not take each other's answers,
// and futures that are used again do not either.
func TestCallsBesideInvocations(t *testing.T) {
	s := session(t)
	l := lease(t, s, 2)
	var all sync.WaitGroup
	for g := range 6 {
		all.Go(func() {
			in, out := offload.Alloc[uint64](s, 1), offload.Alloc[uint64](s, 1)
			other, otherOut := offload.Alloc[uint64](s, 1), offload.Alloc[uint64](s, 1)
			for i := range 300 {
				other.Slice()[0], in.Slice()[0] = uint64(g), uint64(g*1000+i)
				f := l.Invoke(context.Background(), "echo", other, otherOut)
				size, err := l.Call(within(t), "echo", in, out)
				if err != nil || size != 8 || out.Slice()[0] != uint64(g*1000+i) {
					t.Errorf("goroutine %d, call %d: %d, %d bytes, %v", g, i, out.Slice()[0], size, err)
					return
				}
				if _, err := f.Wait(within(t)); err != nil || otherOut.Slice()[0] != uint64(g) {
					t.Errorf("goroutine %d, invocation %d: %d, %v", g, i, otherOut.Slice()[0], err)
					return
				}
			}
		})
	}
	all.Wait()
}
