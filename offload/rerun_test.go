package offload_test

import (
	"context"
	"errors"
	"syscall"
	"testing"
	"time"

	"github.com/sublet-hpc/sublet/offload"
)

// What was in flight on an executor that is killed is answered by another one, or its replacement.
func TestRerunAfterKill(t *testing.T) {
	overProtocols(t, func(t *testing.T) {
		for _, executors := range []int{1, 2} {
			t.Run(itoa(executors), func(t *testing.T) {
				s := session(t)
				l := lease(t, s, executors)
				const n = 6
				var ins, outs [n]*offload.Buffer[uint32]
				var futures [n]offload.Future
				for i := range n {
					ins[i], outs[i] = offload.Alloc[uint32](s, 1), offload.Alloc[uint32](s, 1)
					ins[i].Slice()[0] = uint32(100 + i)
					futures[i] = l.Invoke(within(t), "nap_and_echo", ins[i], outs[i])
				}
				check(t, syscall.Kill(l.Executors()[0].PID(), syscall.SIGKILL))
				for i, f := range futures {
					size, err := f.Wait(within(t))
					if err != nil || size != 4 || outs[i].Slice()[0] != uint32(100+i) {
						t.Errorf("invocation %d: %d bytes, %d, %v", i, size, outs[i].Slice()[0], err)
					}
				}
				if l.Lost() != 1 {
					t.Errorf("%d executors were lost", l.Lost())
				}
			})
		}
	})
}

// With the helper everything is lost at once: the lease gets executors from another helper, and what
// was in flight is run there.
func TestRerunAfterHelperKilled(t *testing.T) {
	overProtocols(t, func(t *testing.T) {
		s := session(t)
		l := lease(t, s, 2)
		in, out := offload.Alloc[uint32](s, 1), offload.Alloc[uint32](s, 1)
		in.Slice()[0] = 200
		f := l.Invoke(within(t), "nap_and_echo", in, out)
		check(t, syscall.Kill(helper(t, l.Executors()[0].PID()), syscall.SIGKILL))
		_, err := f.Wait(within(t))
		check(t, err)
		if out.Slice()[0] != 200 {
			t.Errorf("the answer is %d", out.Slice()[0])
		}
	})
}

// Where there is no other executor to be had, the loss says why not.
func TestLossWithoutAnother(t *testing.T) {
	s := session(t)
	l := lease(t, s, 1)
	t.Setenv("SUBLET_BIN", t.TempDir()) // no other helper can be started
	in := offload.Alloc[uint32](s, 1)
	in.Slice()[0] = 60_000
	f := l.Invoke(within(t), "nap", in, nil)
	check(t, syscall.Kill(helper(t, l.Executors()[0].PID()), syscall.SIGKILL))
	lostBecause(t, f, "SUBLET_BIN")
	lostBecause(t, l.Invoke(within(t), "nap", in, nil), "SUBLET_BIN")
}

// An input that ends two executors is not given to a third.
func TestPoison(t *testing.T) {
	overBoth(t, func(t *testing.T) {
		s := session(t)
		l := lease(t, s, 3)
		in, out := offload.Alloc[byte](s, 10), offload.Alloc[byte](s, 10)
		_, err := l.Invoke(within(t), "crash", in, nil).Wait(within(t))
		var lost *offload.ExecutorLost
		if !errors.Is(err, offload.ErrPoison) || !errors.As(err, &lost) || lost.Signal != syscall.SIGABRT || lost.Function != "crash" {
			t.Errorf("an input that always crashes: %v", err)
		}
		if l.Lost() != 2 {
			t.Errorf("%d executors were lost to one input", l.Lost())
		}
		_, err = l.Invoke(within(t), "echo", in, out).Wait(within(t))
		check(t, err)
		check(t, in.Free()) // it is ours again
	})
}

func TestNotRepeatable(t *testing.T) {
	overBoth(t, func(t *testing.T) {
		s := session(t)
		l, err := s.Lease(within(t), offload.Want{Executors: 2, Library: library, Oversubscribe: true, NotRepeatable: true})
		check(t, err)
		in := offload.Alloc[uint32](s, 1)
		in.Slice()[0] = 10_000
		f := l.Invoke(within(t), "nap_and_echo", in, in)
		for _, e := range l.Executors() {
			check(t, syscall.Kill(e.PID(), syscall.SIGKILL))
		}
		var lost *offload.ExecutorLost
		if _, err := f.Wait(within(t)); !errors.As(err, &lost) || lost.Signal != syscall.SIGKILL || errors.Is(err, offload.ErrPoison) {
			t.Errorf("a loss that must be reported: %v", err)
		}
		split := split(t, s, offload.Plan{Items: 1, Share: 1, Lease: l})
		err = split.Step(within(t), offload.Work{
			Remote: func(ctx context.Context, p offload.Part) offload.Future {
				return p.Executor.Invoke(ctx, "crash", nil, nil)
			},
			Local: func(int, int) error { t.Error("a part that must not be repeated was"); return nil },
		})
		if !errors.As(err, &lost) {
			t.Errorf("a lost part: %v", err)
		}
	})
}

// What waits behind an invocation that is ended by its deadline is run by another executor.
func TestRerunBehindDeadline(t *testing.T) {
	overProtocols(t, func(t *testing.T) {
		s := session(t)
		l := lease(t, s, 1)
		in, out := offload.Alloc[uint32](s, 1), offload.Alloc[uint32](s, 1)
		in.Slice()[0] = 60_000
		small := offload.Alloc[uint32](s, 1)
		small.Slice()[0] = 7
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancel()
		running := l.Invoke(ctx, "nap", in, nil)
		behind := l.Invoke(within(t), "echo", small, out)
		if _, err := running.Wait(within(t)); !errors.Is(err, offload.ErrDeadline) {
			t.Errorf("past its deadline: %v", err)
		}
		_, err := behind.Wait(within(t))
		if err != nil || out.Slice()[0] != 7 {
			t.Errorf("behind it: %d, %v", out.Slice()[0], err)
		}
	})
}

func TestTryInvoke(t *testing.T) {
	overProtocols(t, func(t *testing.T) {
		s := session(t)
		l := lease(t, s, 1)
		in := offload.Alloc[uint32](s, 1)
		in.Slice()[0] = 100
		_, err := l.Invoke(within(t), "echo", in, in).Wait(within(t)) // it knows the buffer
		check(t, err)
		var sent []offload.Future
		for {
			f, err := l.TryInvoke(within(t), "nap", in, nil)
			if errors.Is(err, offload.ErrBusy) {
				break
			}
			check(t, err)
			if sent = append(sent, f); len(sent) > 100 {
				t.Fatal("a hundred invocations of a slow function fit into one executor's slots")
			}
		}
		if len(sent) < 8 {
			t.Errorf("busy with %d invocations", len(sent))
		}
		for _, f := range sent {
			_, err := f.Wait(within(t))
			check(t, err)
		}
		if err := in.Free(); err != nil {
			t.Errorf("what was not sent keeps its buffer: %v", err)
		}
	})
}

// A part that never ends is given to another executor, by the deadline that its program sets.
func TestSplitPastDeadline(t *testing.T) {
	s := session(t)
	l := lease(t, s, 2)
	in, out := offload.Alloc[uint32](s, 2), offload.Alloc[uint32](s, 2)
	in.Slice()[0], in.Slice()[1] = 60_000, 20
	split := split(t, s, offload.Plan{Items: 1, Share: 1, Lease: l})
	calls := 0
	check(t, split.Step(within(t), offload.Work{
		Remote: func(ctx context.Context, p offload.Part) offload.Future {
			ctx, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
			t.Cleanup(cancel)
			calls++
			return p.Executor.Invoke(ctx, "nap_and_echo", in.Sub(calls-1, calls), out.Sub(calls-1, calls))
		},
		Local: func(int, int) error { t.Error("computed here"); return nil },
	}))
	if calls != 2 || split.Redone() != 1 || out.Slice()[1] != 20 {
		t.Errorf("%d calls, %d redone, %d", calls, split.Redone(), out.Slice()[1])
	}
}

// A part that ends two executors ends the step; it is not computed by the program itself.
func TestSplitPoison(t *testing.T) {
	s := session(t)
	l := lease(t, s, 2)
	err := split(t, s, offload.Plan{Items: 2, Share: 0.5, Lease: l}).Step(within(t), offload.Work{
		Remote: func(ctx context.Context, p offload.Part) offload.Future {
			return p.Executor.Invoke(ctx, "crash", nil, nil)
		},
		Local: func(_, hi int) error {
			if hi == 2 {
				t.Error("the poisoned part was computed here")
			}
			return nil
		},
	})
	if !errors.Is(err, offload.ErrPoison) {
		t.Errorf("a step with poison: %v", err)
	}
}

// Release ends what waits for another executor, and what is being asked for.
func TestReleaseWhileRefilling(t *testing.T) {
	s := session(t)
	for range 3 {
		l := lease(t, s, 2)
		in := offload.Alloc[uint32](s, 1)
		in.Slice()[0] = 60_000
		f := l.Invoke(within(t), "nap", in, nil)
		check(t, syscall.Kill(helper(t, l.Executors()[0].PID()), syscall.SIGKILL))
		check(t, l.Release())
		if _, err := f.Wait(within(t)); !errors.Is(err, offload.ErrClosed) {
			t.Errorf("after Release: %v", err)
		}
	}
}

// An executor may be lost after it was chosen, before it knows the buffers: the invocation goes elsewhere.
func TestExecutorLostBeforeItKnowsTheBuffers(t *testing.T) {
	overProtocols(t, func(t *testing.T) {
		s := session(t)
		l := lease(t, s, 1)
		in, out := offload.Alloc[float64](s, 1), offload.Alloc[float64](s, 1)
		in.Slice()[0] = 7
		e := l.Executors()[0]
		f := e.InvokeLate(within(t), func() { check(t, syscall.Kill(e.PID(), syscall.SIGKILL)) }, "square", in, out)
		n, err := f.Wait(within(t))
		check(t, err)
		if n != 8 || out.Slice()[0] != 49 {
			t.Errorf("%d bytes, %v", n, out.Slice()[0])
		}
	})
}
