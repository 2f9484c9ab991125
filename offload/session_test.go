package offload_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sublet-hpc/sublet/internal/fabric"
	"github.com/sublet-hpc/sublet/offload"
)

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// session connects; when the test is over nothing of it is left.
func session(t testing.TB) *offload.Session {
	t.Helper()
	before := goleak.IgnoreCurrent()
	s, err := offload.Connect(within(t))
	check(t, err)
	t.Cleanup(func() {
		check(t, s.Close())
		for _, purpose := range []fabric.Purpose{fabric.Slots, fabric.Buffers, fabric.Constants} {
			if n, bytes := fabric.Usage(purpose); n != 0 {
				t.Errorf("%d %s of %d bytes are left", n, purpose, bytes)
			}
		}
		// os/exec waits for the helper, which ends by itself.
		if err := goleak.Find(before, goleak.IgnoreAnyFunction("os/exec.(*Cmd).Wait")); err != nil {
			t.Error(err)
		}
	})
	return s
}

func lease(t testing.TB, s *offload.Session, executors int) *offload.Lease {
	t.Helper()
	l, err := s.Lease(within(t), offload.Want{Executors: executors, Library: library, Oversubscribe: true})
	check(t, err)
	return l
}

// way is a transport and, over libfabric, its provider.
type way struct{ transport, provider string }

var libfabricWays = []way{{"ofi-write", "tcp"}, {"ofi-write", "shm"}, {"ofi-send", "tcp"}, {"ofi-send", "shm"}}

// overTransports runs a test over every transport.
func overTransports(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	over(t, way{"ring", ""}, test)
	overLibfabric(t, test)
}

// overLibfabric runs a test over those of libfabric's, or, with -short, over the first of them: the
// race detector sees Go, which is the same for all.
func overLibfabric(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	for i, way := range libfabricWays {
		if i == 0 || !testing.Short() {
			over(t, way, test)
		}
	}
}

func over(t *testing.T, way way, test func(t *testing.T)) {
	t.Helper()
	t.Run(strings.TrimSpace(way.transport+" "+way.provider), func(t *testing.T) {
		t.Setenv("SUBLET_TRANSPORT", way.transport)
		t.Setenv("SUBLET_PROVIDER", way.provider)
		test(t)
	})
}

func TestInvoke(t *testing.T) {
	overTransports(t, func(t *testing.T) {
		s := session(t)
		l := lease(t, s, 2)
		if path := l.Path(); path.Transport != os.Getenv("SUBLET_TRANSPORT") || path.Provider == "" {
			t.Errorf("reached over %+v", path)
		}
		for _, n := range []int{1, 4, 100, 10_000, 1 << 20} {
			in, out := offload.Alloc[float64](s, n), offload.Alloc[float64](s, n)
			for i := range in.Slice() {
				in.Slice()[i] = float64(i)
			}
			size, err := l.Invoke(within(t), "square", in, out).Wait(within(t))
			if err != nil || size != 8*n {
				t.Fatalf("%d values: %d bytes, %v", n, size, err)
			}
			for i, v := range out.Slice() {
				if v != float64(i)*float64(i) {
					t.Fatalf("%d values: %g at %d", n, v, i)
				}
			}
			check(t, in.Free())
			check(t, out.Free())
		}
	})
}

func TestConstants(t *testing.T) {
	overTransports(t, func(t *testing.T) {
		s := session(t)
		l := lease(t, s, 2)
		const n = 100_000
		in, out := offload.Alloc[float64](s, n), offload.Alloc[float64](s, n)
		values := make([]float64, n)
		for i := range values {
			in.Slice()[i], values[i] = float64(i), 0.5
		}
		c, err := s.Constant(offload.Bytes(values))
		check(t, err)
		for range 3 {
			for _, e := range l.Executors() {
				clear(out.Slice())
				_, err := e.Invoke(within(t), "add", in, out, c).Wait(within(t))
				check(t, err)
				for i, v := range out.Slice() {
					if v != float64(i)+0.5 {
						t.Fatalf("%g at %d", v, i)
					}
				}
			}
		}
		check(t, c.Free())
	})
}

func TestErrors(t *testing.T) {
	overTransports(t, func(t *testing.T) {
		s := session(t)
		l := lease(t, s, 1)
		in, out := offload.Alloc[byte](s, 100), offload.Alloc[byte](s, 10)

		_, err := l.Invoke(within(t), "no_such_function", nil, nil).Wait(within(t))
		if !errors.Is(err, offload.ErrUnknownFunction) || !strings.Contains(err.Error(), "square") {
			t.Errorf("an unknown function: %v", err)
		}
		_, err = l.Invoke(within(t), "fail", nil, nil).Wait(within(t))
		var failed *offload.FunctionError
		if !errors.As(err, &failed) || failed.Code != 9 || failed.Text != "as you wished" || failed.Function != "fail" {
			t.Errorf("a function that fails: %v", err)
		}
		_, err = l.Invoke(within(t), "square", in.Sub(0, 96), out).Wait(within(t))
		if !errors.Is(err, offload.ErrOutputTooSmall) || !strings.Contains(err.Error(), "96") {
			t.Errorf("too small an output: %v", err)
		}
		if l.Lost() != 0 {
			t.Errorf("%d executors were lost to errors", l.Lost())
		}
		_, err = l.Invoke(within(t), "echo", in.Sub(0, 10), out).Wait(within(t))
		check(t, err)
	})
}

// A crash costs one executor, which is replaced; the others never notice.
func TestCrash(t *testing.T) {
	overTransports(t, func(t *testing.T) {
		s := session(t)
		l := lease(t, s, 2)
		in, out := offload.Alloc[byte](s, 100), offload.Alloc[byte](s, 100)
		first, second := l.Executors()[0], l.Executors()[1]
		pid := first.PID()

		before := first.Invoke(within(t), "echo", in, out)
		crash := first.Invoke(within(t), "crash", in, out)
		behind := first.Invoke(within(t), "echo", in, out)
		_, err := before.Wait(within(t))
		check(t, err)
		_, err = crash.Wait(within(t))
		var lost *offload.ExecutorLost
		if !errors.As(err, &lost) || lost.Signal != syscall.SIGABRT || lost.Function != "crash" {
			t.Errorf("a crash: %v", err)
		}
		if _, err := behind.Wait(within(t)); !errors.As(err, &lost) {
			t.Errorf("an invocation behind a crash: %v", err)
		}
		_, err = second.Invoke(within(t), "echo", in, out).Wait(within(t))
		check(t, err)

		waitFor(t, "a replacement", first.Ready)
		if l.Lost() != 1 || first.PID() == pid {
			t.Errorf("%d lost, process %d after %d", l.Lost(), first.PID(), pid)
		}
		copy(in.Slice(), "hello")
		_, err = first.Invoke(within(t), "echo", in, out).Wait(within(t))
		check(t, err)
		if string(out.Slice()[:5]) != "hello" {
			t.Errorf("the replacement answered %q", out.Slice()[:5])
		}
	})
}

func waitFor(t testing.TB, what string, ready func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ready(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("no %s within %v", what, patience)
		}
	}
}

// Eight futures that nobody waits for do not block a ninth.
func TestNobodyNeedsToWait(t *testing.T) {
	overTransports(t, func(t *testing.T) {
		s := session(t)
		l := lease(t, s, 1)
		in, out := offload.Alloc[byte](s, 8), offload.Alloc[byte](s, 8)
		var last offload.Future
		for range 1000 {
			last = l.Invoke(within(t), "echo", in, out)
		}
		_, err := last.Wait(within(t))
		check(t, err)
	})
}

func TestManyGoroutines(t *testing.T) {
	overTransports(t, func(t *testing.T) {
		s := session(t)
		l := lease(t, s, 2)
		var all sync.WaitGroup
		for g := range 8 {
			all.Go(func() {
				in, out := offload.Alloc[float64](s, 5), offload.Alloc[float64](s, 5)
				for i := range 200 {
					for j := range in.Slice() {
						in.Slice()[j] = float64(g*1000 + i)
					}
					if _, err := l.Invoke(within(t), "square", in, out).Wait(within(t)); err != nil {
						t.Error(err)
						return
					}
					for _, v := range out.Slice() {
						if want := float64(g*1000+i) * float64(g*1000+i); v != want {
							t.Errorf("goroutine %d, call %d: %g instead of %g", g, i, v, want)
							return
						}
					}
				}
			})
		}
		all.Wait()
	})
}

// The end of Wait's context ends only the waiting.
func TestWaitEndsWithItsContext(t *testing.T) {
	overTransports(t, func(t *testing.T) {
		s := session(t)
		l := lease(t, s, 1)
		in := offload.Alloc[uint32](s, 1)
		in.Slice()[0] = 300
		f := l.Invoke(within(t), "nap", in, nil)
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
		defer cancel()
		if _, err := f.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a wait that was too short: %v", err)
		}
		if err := in.Free(); !errors.Is(err, offload.ErrBufferBusy) {
			t.Errorf("a lent buffer was freed: %v", err)
		}
		result, err := f.Result(within(t))
		check(t, err)
		if result.InFunction < 300*time.Millisecond {
			t.Errorf("it ran for %v", result.InFunction)
		}
		check(t, in.Free())
	})
}

// Hot timeouts change how one waits, not what one gets.
func TestHotTimeouts(t *testing.T) {
	overTransports(t, func(t *testing.T) {
		for _, hot := range []time.Duration{offload.AlwaysHot, offload.NeverHot, time.Millisecond} {
			t.Run(hot.String(), func(t *testing.T) {
				s := session(t)
				l, err := s.Lease(within(t), offload.Want{Executors: 1, Library: library, HotTimeout: hot, Oversubscribe: true})
				check(t, err)
				in, out := offload.Alloc[uint32](s, 1), offload.Alloc[uint32](s, 1)
				for i := range uint32(30) {
					in.Slice()[0] = i
					if i%10 == 0 {
						in.Slice()[0] = 5
						_, err := l.Invoke(within(t), "nap", in, nil).Wait(within(t))
						check(t, err)
					}
					_, err := l.Invoke(within(t), "echo", in, out).Wait(within(t))
					check(t, err)
					if out.Slice()[0] != in.Slice()[0] {
						t.Fatalf("%d instead of %d", out.Slice()[0], in.Slice()[0])
					}
				}
			})
		}
	})
}

func TestRelease(t *testing.T) {
	overTransports(t, func(t *testing.T) {
		s := session(t)
		l := lease(t, s, 2)
		in := offload.Alloc[uint32](s, 1)
		in.Slice()[0] = 60_000
		f := l.Invoke(within(t), "nap", in, nil)
		check(t, l.Release())
		if _, err := f.Wait(within(t)); !errors.Is(err, offload.ErrClosed) {
			t.Errorf("an invocation in flight: %v", err)
		}
		if _, err := l.Invoke(within(t), "echo", in, in).Wait(within(t)); !errors.Is(err, offload.ErrClosed) {
			t.Errorf("an invocation after release: %v", err)
		}
		for _, e := range l.Executors() {
			if err := syscall.Kill(e.PID(), 0); !errors.Is(err, syscall.ESRCH) {
				t.Errorf("process %d is left: %v", e.PID(), err)
			}
		}
		check(t, l.Release())
		// Another lease gets what this one had.
		check(t, lease(t, s, 2).Release())
	})
}

// When the helper is killed, what was asked of its executors ends with an error and not with a hang;
// then the lease gets others, from another helper.
func TestHelperKilled(t *testing.T) {
	overTransports(t, func(t *testing.T) {
		s := session(t)
		l := lease(t, s, 2)
		in := offload.Alloc[uint32](s, 1)
		in.Slice()[0] = 60_000
		e := l.Executors()[0]
		f := e.Invoke(within(t), "nap", in, nil)
		check(t, syscall.Kill(helper(t, e.PID()), syscall.SIGKILL))
		_, err := f.Wait(within(t))
		var lost *offload.ExecutorLost
		if !errors.As(err, &lost) || lost.Cause != offload.LostManager {
			t.Errorf("an invocation in flight: %v", err)
		}
		for _, e := range l.Executors() {
			waitFor(t, "another executor", e.Ready)
			_, err := e.Invoke(within(t), "echo", nil, nil).Wait(within(t))
			check(t, err)
		}
	})
}

// helper is the parent of an executor.
func helper(t testing.TB, pid int) int {
	t.Helper()
	parent := parentOf(pid)
	if parent == 0 {
		t.Fatalf("process %d has no parent", pid)
	}
	return parent
}

// parentOf is 0 if there is no such process.
func parentOf(pid int) int {
	status, _ := os.ReadFile("/proc/" + itoa(pid) + "/status")
	for line := range strings.Lines(string(status)) {
		if parent, ok := strings.CutPrefix(line, "PPid:\t"); ok {
			number, _ := strconv.Atoi(strings.TrimSpace(parent))
			return number
		}
	}
	return 0
}

func TestEnvironment(t *testing.T) {
	t.Setenv("SUBLET_SECRET", "42")
	s := session(t)
	l, err := s.Lease(within(t), offload.Want{Executors: 1, Library: library, Oversubscribe: true, Environment: []string{"GREETING=good day"}})
	check(t, err)
	get := func(name string) (string, error) {
		in, out := offload.Alloc[byte](s, len(name)), offload.Alloc[byte](s, 4096)
		copy(in.Slice(), name)
		n, err := l.Invoke(within(t), "environment", in, out).Wait(within(t))
		return string(out.Slice()[:n]), err
	}
	for name, want := range map[string]string{"GREETING": "good day", "OMP_NUM_THREADS": "1", "PATH": os.Getenv("PATH")} {
		if got, err := get(name); err != nil || got != want {
			t.Errorf("%s is %q, %v", name, got, err)
		}
	}
	if got, err := get("SUBLET_SECRET"); err == nil {
		t.Errorf("a function sees SUBLET_SECRET=%s", got)
	}
}

func TestBadLibraries(t *testing.T) {
	s := session(t)
	text := filepath.Join(t.TempDir(), "text.so")
	check(t, os.WriteFile(text, []byte("not a library\n"), 0o644))
	for path, problem := range map[string]string{
		"/no/such/library.so": "no such file",
		text:                  "not an ELF",
		"":                    "Want.Library",
	} {
		_, err := s.Lease(within(t), offload.Want{Executors: 2, Library: path, Oversubscribe: true})
		if err == nil || !strings.Contains(err.Error(), problem) {
			t.Errorf("library %q: %v", path, err)
		}
	}
	check(t, lease(t, s, 2).Release())
}

func TestNoCapacity(t *testing.T) {
	s := session(t)
	_, err := s.Lease(within(t), offload.Want{Executors: 1000, Library: library})
	if !errors.Is(err, offload.ErrNoCapacity) || !strings.Contains(err.Error(), "1000") {
		t.Errorf("a lease of 1000 executors: %v", err)
	}
}

func TestSplit(t *testing.T) {
	overTransports(t, func(t *testing.T) {
		s := session(t)
		l := lease(t, s, 2)
		const n = 1001
		in, out := offload.Alloc[float64](s, n), offload.Alloc[float64](s, n)
		for i := range in.Slice() {
			in.Slice()[i] = float64(i)
		}
		for _, share := range []float64{0, 0.5, 1} {
			split := split(t, s, offload.Plan{Items: n, Share: share, Lease: l})
			crashed := false
			for step := range 5 {
				clear(out.Slice())
				check(t, split.Step(within(t), offload.Work{
					Remote: func(ctx context.Context, p offload.Part) offload.Future {
						if step == 2 && p.Index == 1 && !crashed {
							crashed = true
							return p.Executor.Invoke(ctx, "crash", nil, nil)
						}
						return p.Executor.Invoke(ctx, "square", in.Sub(p.Lo, p.Hi), out.Sub(p.Lo, p.Hi))
					},
					Local: func(lo, hi int) error {
						for i := lo; i < hi; i++ {
							out.Slice()[i] = in.Slice()[i] * in.Slice()[i]
						}
						return nil
					},
				}))
				for i, v := range out.Slice() {
					if v != float64(i)*float64(i) {
						t.Fatalf("share %g, step %d: %g at %d", share, step, v, i)
					}
				}
			}
			if share > 0 && split.Redone() == 0 {
				t.Errorf("share %g: no part was redone", share)
			}
		}
	})
}
