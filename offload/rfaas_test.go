package offload_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sublet-hpc/sublet/internal/buildtest"
	"github.com/sublet-hpc/sublet/offload"
)

// rFaaS, which the idea is from, has these defects on its data path. Each name says what goes wrong there,
// and the test that it does not here. (internal/fabric has those below this package.)
var rfaasDefects = []struct {
	name string
	test func(t *testing.T, s *offload.Session)
	// anyWay: how the executors are reached makes no difference.
	anyWay bool
}{
	{"the client breaks after 65536 invocations", countPast16Bits, false},
	{"an executor quits after some number of calls", func(t *testing.T, s *offload.Session) {
		l := lease(t, s, 1)
		pid := l.Executors()[0].PID()
		callOften(t, s, l, 20_000)
		if l.Lost() != 0 || l.Executors()[0].PID() != pid {
			t.Errorf("%d executors were lost", l.Lost())
		}
	}, false},
	{"two requests that arrive together hang a hot executor", arriveTogether, false},
	{"two calls in flight share one input", func(t *testing.T, s *offload.Session) { inFlight(t, s, lease(t, s, 1), 2) }, false},
	{"calls on two executors at once hang", func(t *testing.T, s *offload.Session) { inFlight(t, s, lease(t, s, 3), 24) }, false},
	{"a hot timeout counts in another unit", hotFor, false},
	{"an output larger than the input overflows", largeOutput, false},
	{"an output larger than its buffer overflows", overflowingOutput, false},
	{"an input larger than the buffers crashes the client", largeInput, false},
	{"functions can not report errors", func(t *testing.T, s *offload.Session) {
		_, err := lease(t, s, 1).Invoke(within(t), "fail", nil, nil).Wait(within(t))
		var failed *offload.FunctionError
		if !errors.As(err, &failed) || failed.Code != 9 || failed.Text != "as you wished" {
			t.Errorf("it failed on purpose: %v", err)
		}
	}, true},
	{"there is no deadline", func(t *testing.T, s *offload.Session) {
		endIt(t, s, offload.ErrDeadline, func() (context.Context, func()) {
			return context.WithTimeout(context.Background(), 50*time.Millisecond)
		})
	}, false},
	{"invocations can not be canceled", func(t *testing.T, s *offload.Session) {
		endIt(t, s, context.Canceled, func() (context.Context, func()) {
			ctx, cancel := context.WithCancel(context.Background())
			time.AfterFunc(50*time.Millisecond, cancel)
			return ctx, cancel
		})
	}, false},
	{"what is lost is not run again", runAgain, false},
	{"the client waits for ever when the executor is killed", func(t *testing.T, s *offload.Session) {
		e := lease(t, s, 1).Executors()[0]
		in := offload.Alloc[uint32](s, 1)
		in.Slice()[0] = 60_000
		f := e.Invoke(within(t), "nap", in, nil)
		check(t, syscall.Kill(e.PID(), syscall.SIGKILL))
		_, err := f.Wait(within(t))
		died(syscall.SIGKILL).expectCause(t, err)
	}, false},
	{"the client waits for ever when the function segfaults", func(t *testing.T, s *offload.Session) {
		endings(t, s, "block_signals_and_crash", died(syscall.SIGSEGV))
	}, true},
	{"the client waits for ever when the function throws", func(t *testing.T, s *offload.Session) {
		endings(t, s, "throw_plainly", died(syscall.SIGABRT))
	}, true},
	{"the client waits for ever when the function exits", func(t *testing.T, s *offload.Session) {
		endings(t, s, "call_exit", ending{cause: offload.LostExit, exitCode: 3, exitCalled: true})
	}, true},
	{"a lease waits for ever when its executor dies", stillborn, true},
	{"executors outlive their manager", func(t *testing.T, s *offload.Session) {
		pid := lease(t, s, 1).Executors()[0].PID()
		check(t, syscall.Kill(helper(t, pid), syscall.SIGKILL))
		waitFor(t, "end of the executor", func() bool { return hasEnded(pid) })
	}, true},
	{"a lease has 64 executors at most", sixtyFive, true},
}

func TestRFaaSDefects(t *testing.T) {
	overBoth(t, func(t *testing.T) {
		for _, defect := range rfaasDefects {
			if defect.anyWay && os.Getenv("SUBLET_TRANSPORT") != "ring" {
				continue
			}
			t.Run(defect.name, func(t *testing.T) { defect.test(t, session(t)) })
		}
	})
}

// Nothing but RDMA works.
func TestRFaaSDefectNeedsRDMA(t *testing.T) {
	overLibfabric(t, func(t *testing.T) {
		s := session(t)
		l := lease(t, s, 1)
		if path := l.Path(); path.Provider != os.Getenv("SUBLET_PROVIDER") {
			t.Errorf("reached over %+v", path)
		}
		callOften(t, s, l, 100)
	})
}

// callOften invokes a function some times, one after the other.
func callOften(t *testing.T, s *offload.Session, l *offload.Lease, times int) {
	t.Helper()
	in, out := offload.Alloc[uint32](s, 1), offload.Alloc[uint32](s, 1)
	for i := range uint32(times) {
		in.Slice()[0] = i
		if n, err := l.Invoke(t.Context(), "echo", in, out).Wait(t.Context()); err != nil || n != 4 || out.Slice()[0] != i {
			t.Fatalf("invocation %d: %d bytes, %d, %v", i, n, out.Slice()[0], err)
		}
	}
}

func countPast16Bits(t *testing.T, s *offload.Session) {
	l := lease(t, s, 1)
	callOften(t, s, l, 1<<16+100)
	if l.Lost() != 0 {
		t.Errorf("%d executors were lost", l.Lost())
	}
}

func arriveTogether(t *testing.T, s *offload.Session) {
	l, err := s.Lease(within(t), offload.Want{Executors: 1, Library: library, HotTimeout: offload.AlwaysHot, Oversubscribe: true})
	check(t, err)
	in, one, other := offload.Alloc[uint32](s, 1), offload.Alloc[uint32](s, 1), offload.Alloc[uint32](s, 1)
	in.Slice()[0] = 1
	for range 50 {
		clear(one.Slice())
		clear(other.Slice())
		futures := []offload.Future{
			l.Invoke(within(t), "nap", in, nil), // what follows arrives while it runs
			l.Invoke(within(t), "echo", in, one), l.Invoke(within(t), "nap_and_echo", in, other),
		}
		for _, f := range futures {
			_, err := f.Wait(within(t))
			check(t, err)
		}
		if one.Slice()[0] != 1 || other.Slice()[0] != 1 {
			t.Fatalf("the answers are %d and %d", one.Slice()[0], other.Slice()[0])
		}
	}
}

// inFlight has invocations in flight at once, each with an input of its own.
func inFlight(t *testing.T, s *offload.Session, l *offload.Lease, count int) {
	t.Helper()
	for _, n := range []int{1, 1000, 50_000} {
		in, out := make([]*offload.Buffer[uint32], count), make([]*offload.Buffer[uint32], count)
		futures := make([]offload.Future, count)
		for i := range futures {
			in[i], out[i] = offload.Alloc[uint32](s, n), offload.Alloc[uint32](s, n)
			for j := range in[i].Slice() {
				in[i].Slice()[j] = uint32(1 + i%3) // milliseconds of sleep, of the first
			}
			in[i].Slice()[n-1] = uint32(1 + i%3 + 10*i*min(1, n-1))
			futures[i] = l.Invoke(within(t), "nap_and_echo", in[i], out[i])
		}
		for i, f := range futures {
			size, err := f.Wait(within(t))
			if err != nil || size != 4*n || out[i].Slice()[n-1] != in[i].Slice()[n-1] {
				t.Fatalf("invocation %d of %d values: %d bytes, %d at the end, %v", i, n, size, out[i].Slice()[n-1], err)
			}
		}
	}
}

// processorTime is how long a process has computed.
func processorTime(t *testing.T, pid int) time.Duration {
	t.Helper()
	stat, err := os.ReadFile("/proc/" + itoa(pid) + "/stat")
	check(t, err)
	_, after, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(after)
	return time.Duration(atoi(t, fields[11])+atoi(t, fields[12])) * 10 * time.Millisecond // in hundredths of a second
}

func hotFor(t *testing.T, s *offload.Session) {
	for _, c := range []struct {
		hot   time.Duration
		spins bool
	}{{20 * time.Millisecond, false}, {time.Minute, true}} {
		l, err := s.Lease(within(t), offload.Want{Executors: 1, Library: library, HotTimeout: c.hot, Oversubscribe: true})
		check(t, err)
		callOften(t, s, l, 1)
		pid := l.Executors()[0].PID()
		time.Sleep(500 * time.Millisecond) // far longer than the one timeout, far shorter than the other
		before := processorTime(t, pid)
		if !c.spins {
			time.Sleep(500 * time.Millisecond)
			if used := processorTime(t, pid) - before; used > 50*time.Millisecond {
				t.Errorf("hot for %v, and half a second later it uses %v in another", c.hot, used)
			}
		} else {
			waitFor(t, "spinning", func() bool { return processorTime(t, pid) >= before+50*time.Millisecond })
		}
		check(t, l.Release())
	}
}

func largeOutput(t *testing.T, s *offload.Session) {
	l := lease(t, s, 1)
	in, out := offload.Alloc[byte](s, 1), offload.Alloc[byte](s, 1<<20)
	in.Slice()[0] = 7
	n, err := l.Invoke(within(t), "write_all", in, out).Wait(within(t))
	if err != nil || n != 1<<20 || out.Slice()[0] != 7 || out.Slice()[1<<20-1] != 7 {
		t.Errorf("%d bytes, %v", n, err)
	}
}

func overflowingOutput(t *testing.T, s *offload.Session) {
	l := lease(t, s, 1)
	in, both := offload.Alloc[byte](s, 40_000), offload.Alloc[byte](s, 50_000)
	for i := range both.Slice() {
		both.Slice()[i] = 7
	}
	// rFaaS's kind of function does not know how much fits.
	_, err := l.Invoke(within(t), "echo", in, both.Sub(0, 30_000)).Wait(within(t))
	var lost *offload.ExecutorLost
	if !errors.Is(err, offload.ErrOutputTooSmall) && !errors.As(err, &lost) {
		t.Errorf("40000 bytes into 30000: %v", err)
	}
	for i, v := range both.Slice()[30_000:] {
		if v != 7 {
			t.Fatalf("byte %d behind the output was overwritten", i)
		}
	}
}

func largeInput(t *testing.T, s *offload.Session) {
	l := lease(t, s, 1)
	in, out := offload.Alloc[byte](s, 1<<20+1), offload.Alloc[byte](s, 8)
	if _, err := l.Invoke(within(t), "square", in.Sub(0, 20_000), out).Wait(within(t)); !errors.Is(err, offload.ErrOutputTooSmall) {
		t.Errorf("20000 bytes into 8: %v", err)
	}
	in.Slice()[0] = 1
	n, err := l.Invoke(within(t), "read_all", in, out).Wait(within(t))
	if err != nil || n != 8 || out.Slice()[0] != 1 {
		t.Errorf("a megabyte: %d bytes, %v", n, err)
	}
}

// endIt has a function run that does not end by itself, and looks at what ends it.
func endIt(t *testing.T, s *offload.Session, why error, soon func() (context.Context, func())) {
	t.Helper()
	in := offload.Alloc[uint32](s, 1)
	l := lease(t, s, 1)
	_, err := l.Invoke(within(t), "nap", in, nil).Wait(within(t)) // it knows the buffer
	check(t, err)
	in.Slice()[0] = 60_000
	ctx, cancel := soon()
	defer cancel()
	if _, err := l.Invoke(ctx, "nap", in, nil).Wait(within(t)); !errors.Is(err, why) {
		t.Errorf("%v instead of %v", err, why)
	}
	check(t, in.Free()) // it is ours again
	callOften(t, s, l, 10)
}

func runAgain(t *testing.T, s *offload.Session) {
	l := lease(t, s, 2)
	in, out := offload.Alloc[uint32](s, 1), offload.Alloc[uint32](s, 1)
	in.Slice()[0] = 200
	f := l.Invoke(within(t), "nap_and_echo", in, out)
	for _, e := range l.Executors() {
		check(t, syscall.Kill(e.PID(), syscall.SIGKILL))
	}
	if n, err := f.Wait(within(t)); err != nil || n != 4 || out.Slice()[0] != 200 {
		t.Errorf("%d bytes, %d, %v", n, out.Slice()[0], err)
	}
}

// expectCause is expect where the function can not be told: it may not have begun.
func (e ending) expectCause(t *testing.T, err error) {
	t.Helper()
	var lost *offload.ExecutorLost
	if !errors.As(err, &lost) || lost.Cause != e.cause || lost.Signal != e.signal {
		t.Errorf("not a loss by %v: %v", e.signal, err)
	}
}

// endings has a function end its executor.
func endings(t *testing.T, s *offload.Session, function string, e ending) {
	t.Helper()
	path, err := misbehaving()
	check(t, err)
	l, err := s.Lease(within(t), offload.Want{Executors: 1, Library: path, Oversubscribe: true})
	check(t, err)
	_, err = l.Executors()[0].Invoke(within(t), function, nil, nil).Wait(within(t))
	e.expect(t, function, err)
}

func stillborn(t *testing.T, s *offload.Session) {
	path, err := buildtest.Library(filepath.Dir(library), "libstillborn.so", "testdata/stillborn.c")
	check(t, err)
	_, err = s.Lease(within(t), offload.Want{Executors: 2, Library: path, Oversubscribe: true})
	if err == nil || !strings.Contains(err.Error(), "SIGABRT") || !strings.Contains(err.Error(), "libstillborn.so") {
		t.Errorf("a library that ends its executor: %v", err)
	}
	check(t, lease(t, s, 1).Release()) // another one is none the worse
}

func sixtyFive(t *testing.T, s *offload.Session) {
	l, err := s.Lease(within(t), offload.Want{Executors: 65, Library: library, HotTimeout: offload.NeverHot, Oversubscribe: true})
	check(t, err)
	in := offload.Alloc[uint32](s, 1)
	for i, e := range l.Executors() {
		in.Slice()[0] = uint32(i)
		out := offload.Alloc[uint32](s, 1)
		if _, err := e.Invoke(within(t), "echo", in, out).Wait(within(t)); err != nil || out.Slice()[0] != uint32(i) {
			t.Fatalf("%s: %d, %v", e, out.Slice()[0], err)
		}
	}
}
