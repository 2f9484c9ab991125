package offload_test

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sublet-hpc/sublet/offload"
)

// A context that ends while a buffer is on its way to an executor harms nobody else.
func TestCancelledFirstInvoke(t *testing.T) {
	overProtocols(t, func(t *testing.T) {
		s := session(t)
		l := lease(t, s, 1)
		in, out := offload.Alloc[byte](s, 10), offload.Alloc[byte](s, 10)
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		if _, err := l.Invoke(ended, "echo", in, out).Wait(within(t)); !errors.Is(err, context.Canceled) {
			t.Errorf("an invocation whose context has ended: %v", err)
		}
		_, err := l.Invoke(within(t), "echo", in, out).Wait(within(t))
		check(t, err)
		if l.Lost() != 0 {
			t.Errorf("%d executors were lost", l.Lost())
		}
	})
}

// Whenever an executor is killed, an invocation ends with success or ExecutorLost, nothing else.
func TestKilledAtAnyMoment(t *testing.T) {
	overTransports(t, func(t *testing.T) {
		s := session(t)
		l := lease(t, s, 1)
		e := l.Executors()[0]
		deadline := time.Now().Add(1500 * time.Millisecond)
		kills := 0
		for time.Now().Before(deadline) {
			waitFor(t, "replacement", e.Ready)
			pid := e.PID()
			_, err := e.Invoke(within(t), "echo", nil, nil).Wait(within(t)) // else its manager gives it up
			check(t, err)
			killed, delay := make(chan struct{}), time.Duration(kills%5)*time.Millisecond
			go func() {
				time.Sleep(delay)
				_ = syscall.Kill(pid, syscall.SIGKILL)
				close(killed)
			}()
			kills++
			// The kill may have met the process before this one.
			for lost := false; !lost && time.Now().Before(deadline); {
				in := offload.Alloc[byte](s, 100_000)
				_, err := e.Invoke(within(t), "echo", in, in).Wait(within(t))
				var loss *offload.ExecutorLost
				lost = errors.As(err, &loss)
				if err != nil && !lost {
					t.Fatalf("after %d kills: %v", kills, err)
				}
				check(t, in.Free())
			}
			<-killed
		}
		if l.Lost() == 0 || len(l.Losses()) != min(l.Lost(), 100) {
			t.Errorf("%d lost, %d losses", l.Lost(), len(l.Losses()))
		}
	})
}

// The context of Invoke governs the run: a function that does not end is ended.
func TestDeadlineEndsTheRun(t *testing.T) {
	overProtocols(t, func(t *testing.T) {
		s := session(t)
		l := lease(t, s, 2)
		slow, other := l.Executors()[0], l.Executors()[1]
		in, out := offload.Alloc[uint32](s, 1), offload.Alloc[uint32](s, 1)
		in.Slice()[0] = 60_000
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancel()
		start := time.Now()
		running := slow.Invoke(ctx, "nap", in, nil)
		behind := slow.Invoke(within(t), "echo", in, out)
		if _, err := running.Wait(within(t)); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, offload.ErrDeadline) {
			t.Errorf("past its deadline: %v", err)
		}
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("it took %v to end it", took)
		}
		var lost *offload.ExecutorLost
		if _, err := behind.Wait(within(t)); !errors.As(err, &lost) {
			t.Errorf("behind it: %v", err)
		}
		_, err := other.Invoke(within(t), "echo", in, out).Wait(within(t))
		check(t, err)
		waitFor(t, "replacement", slow.Ready)
		_, err = slow.Invoke(within(t), "echo", in, out).Wait(within(t))
		check(t, err)
	})
}

// An invocation that waits behind another ends no function that is not its own.
func TestDeadlineOfOneThatWaits(t *testing.T) {
	overBoth(t, func(t *testing.T) {
		s := session(t)
		l := lease(t, s, 1)
		in, out := offload.Alloc[uint32](s, 1), offload.Alloc[uint32](s, 1)
		in.Slice()[0] = 300
		running := l.Invoke(within(t), "nap", in, nil)
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		defer cancel()
		behind := l.Invoke(ctx, "echo", in, out)
		_, err := running.Wait(within(t))
		check(t, err)
		// It may be answered before anybody looks at its deadline, or be ended: both are endings.
		_, _ = behind.Wait(within(t))
	})
}

// Nine invocations of a slow function do not make the ninth spin.
func TestFullSlotsSleep(t *testing.T) {
	s := session(t)
	l, err := s.Lease(within(t), offload.Want{Executors: 1, Library: library, HotTimeout: offload.NeverHot, Oversubscribe: true})
	check(t, err)
	in := offload.Alloc[uint32](s, 1)
	in.Slice()[0] = 100
	var before, after syscall.Rusage
	check(t, syscall.Getrusage(syscall.RUSAGE_SELF, &before))
	var last offload.Future
	for range 10 {
		last = l.Invoke(within(t), "nap", in, nil)
	}
	_, err = last.Wait(within(t))
	check(t, err)
	check(t, syscall.Getrusage(syscall.RUSAGE_SELF, &after))
	used := time.Duration(after.Utime.Nano() - before.Utime.Nano() + after.Stime.Nano() - before.Stime.Nano())
	if used > 300*time.Millisecond {
		t.Errorf("a second of waiting used %v of the processor", used)
	}
}

func TestFreedMemoryIsNotNamed(t *testing.T) {
	s := session(t)
	l := lease(t, s, 1)
	c, err := s.Constant([]byte{1, 2, 3})
	check(t, err)
	check(t, c.Free())
	check(t, c.Free())
	first, err := s.Constant([]byte("first"))
	check(t, err)
	second, err := s.Constant([]byte("second"))
	check(t, err)
	check(t, first.Free())
	check(t, second.Free())
	b := offload.Alloc[byte](s, 100)
	part := b.Sub(0, 10)
	check(t, b.Free())
	if _, err := l.Invoke(within(t), "echo", part, nil).Wait(within(t)); !errors.Is(err, offload.ErrClosed) {
		t.Errorf("a part of a freed buffer: %v", err)
	}
	if _, err := l.Invoke(within(t), "echo", nil, nil, c).Wait(within(t)); !errors.Is(err, offload.ErrClosed) {
		t.Errorf("a freed constant: %v", err)
	}
}

// Close waits for whoever releases, and for executors to have ended, before it frees memory.
func TestCloseBesideRelease(t *testing.T) {
	overProtocols(t, func(t *testing.T) {
		for range 5 {
			s, err := offload.Connect(within(t))
			check(t, err)
			l := lease(t, s, 2)
			pids := []int{l.Executors()[0].PID(), l.Executors()[1].PID()}
			in := offload.Alloc[byte](s, 1<<20)
			var all sync.WaitGroup
			all.Go(func() {
				for {
					if _, err := l.Invoke(context.Background(), "echo", in, in).Wait(context.Background()); err != nil {
						return
					}
				}
			})
			all.Go(func() { _ = l.Release() })
			check(t, s.Close())
			for _, pid := range pids {
				if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
					t.Errorf("executor %d lives after Close: %v", pid, err)
				}
			}
			all.Wait()
		}
	})
}

// A part that comes back shorter than its items is no success.
func TestSplitNoticesShortOutputs(t *testing.T) {
	s := session(t)
	l := lease(t, s, 1)
	out := offload.Alloc[byte](s, 10)
	split := split(t, s, offload.Plan{Items: 10, Share: 1, Lease: l})
	err := split.Step(within(t), offload.Work{
		Remote: func(ctx context.Context, p offload.Part) offload.Future {
			return p.Executor.Invoke(ctx, "echo", out.Sub(0, 3), out.Sub(p.Lo, p.Hi))
		},
		Local: func(int, int) error { return nil },
	})
	if err == nil {
		t.Error("3 bytes were taken for 10 items")
	}
}

// What functions leave behind ends with their executor, whoever ends that.
func TestChildrenOfFunctions(t *testing.T) {
	for _, how := range []string{"release", "executor killed", "helper killed"} {
		t.Run(how, func(t *testing.T) {
			s := session(t)
			l := lease(t, s, 1)
			out := offload.Alloc[int32](s, 2)
			_, err := l.Invoke(within(t), "leave_children", nil, out).Wait(within(t))
			check(t, err)
			children := slices.Clone(out.Slice())
			pid := l.Executors()[0].PID()
			switch how {
			case "release":
				check(t, l.Release())
			case "executor killed":
				check(t, syscall.Kill(pid, syscall.SIGKILL))
			case "helper killed":
				check(t, syscall.Kill(helper(t, pid), syscall.SIGKILL))
			}
			for _, child := range children {
				waitFor(t, "end of a function's child", func() bool { return hasEnded(int(child)) })
			}
		})
	}
}

// hasEnded tells whether a process is gone, or waits only for its parent to look.
func hasEnded(pid int) bool {
	stat, err := os.ReadFile("/proc/" + itoa(pid) + "/stat")
	if err != nil {
		return true
	}
	_, state, _ := strings.Cut(string(stat), ") ")
	return strings.HasPrefix(state, "Z")
}
