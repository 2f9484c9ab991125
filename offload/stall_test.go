package offload_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sublet-hpc/sublet/internal/fabric"
	"github.com/sublet-hpc/sublet/offload"
)

// probed is how many invocations a connection has carried before it is the program's.
const probed = 3

// strikeFirst puts faults on the first connection that is made, counted from the program's first
// invocation on it.
func strikeFirst(t *testing.T, faults ...fabric.Fault) {
	t.Helper()
	struck := make(chan struct{}, 1)
	offload.Tamper(t, func(c *fabric.Client) {
		select {
		case struck <- struct{}{}:
			for i := range faults {
				faults[i].Invocation += probed
			}
			check(t, c.Inject(faults))
		default:
		}
	})
}

// lostBecause waits for an invocation that must end with its executor, for that reason.
func lostBecause(t *testing.T, f offload.Future, reason string) {
	t.Helper()
	_, err := f.Wait(within(t))
	var lost *offload.ExecutorLost
	if !errors.As(err, &lost) || !strings.Contains(err.Error(), reason) {
		t.Fatalf("instead of a loss because %q: %v", reason, err)
	}
}

// A message that is lost ends its invocation, without any deadline, and the lease goes on.
func TestLostMessages(t *testing.T) {
	for _, c := range []struct {
		way    way
		fault  fabric.Fault
		size   int
		reason string
	}{
		{way{"ring", ""}, fabric.Fault{Invocation: 2, Kind: fabric.Drop}, 8, "the request of invocation 5 (echo) was lost"},
		{way{"ring", ""}, fabric.Fault{Invocation: 2, Kind: fabric.Drop, Response: true}, 8, "the response of invocation 5 (echo) was lost"},
		{way{"ofi-write", "tcp"}, fabric.Fault{Invocation: 2, Kind: fabric.Drop}, 100_000, "the request of invocation 5 (echo) was lost"},
		{way{"ofi-send", "shm"}, fabric.Fault{Invocation: 2, Kind: fabric.Drop, Response: true}, 5000, "the response of invocation 5 (echo) was lost"},
	} {
		over(t, c.way, func(t *testing.T) {
			offload.Hurry(t)
			s := session(t)
			strikeFirst(t, c.fault)
			l := lease(t, s, 1)
			in, out := offload.Alloc[byte](s, c.size), offload.Alloc[byte](s, c.size)
			_, err := l.Executors()[0].Invoke(context.Background(), "echo", in, out).Wait(within(t))
			check(t, err)
			lostBecause(t, l.Executors()[0].Invoke(context.Background(), "echo", in, out), c.reason)
			waitFor(t, "replacement", l.Executors()[0].Ready)
			_, err = l.Executors()[0].Invoke(within(t), "echo", in, out).Wait(within(t))
			check(t, err)
		})
	}
}

// A function that simply runs long is not disturbed, whoever waits for it and however, and what
// waits behind it neither.
func TestLongFunctions(t *testing.T) {
	over(t, way{"ring", ""}, func(t *testing.T) {
		offload.Hurry(t)
		s := session(t)
		l, err := s.Lease(within(t), offload.Want{Executors: 1, Library: library, HotTimeout: offload.AlwaysHot, Oversubscribe: true})
		check(t, err)
		in, out := offload.Alloc[uint32](s, 1), offload.Alloc[uint32](s, 1)
		in.Slice()[0] = 1125 // it is asked twice meanwhile, after 250 ms and 500 more
		first := l.Invoke(context.Background(), "nap", in, nil)
		behind := l.Invoke(context.Background(), "echo", in, out)
		_, err = first.Wait(within(t))
		check(t, err)
		_, err = behind.Wait(within(t))
		check(t, err)
		if l.Lost() != 0 {
			t.Errorf("lost: %v", l.Losses())
		}
	})
}

// Responses that nobody waits for are not taken for lost ones.
func TestNobodyWaits(t *testing.T) {
	for _, way := range []way{{"ring", ""}, {"ofi-write", "tcp"}, {"ofi-send", "shm"}} {
		over(t, way, func(t *testing.T) {
			offload.Hurry(t)
			s := session(t)
			l := lease(t, s, 1)
			in, out := offload.Alloc[byte](s, 5000), offload.Alloc[byte](s, 5000)
			ended := l.Invoke(context.Background(), "echo", in, out)
			waitFor(t, "ending that nobody waits for", func() bool { return errors.Is(in.Free(), nil) })
			_, err := ended.Wait(within(t))
			check(t, err)
			if l.Lost() != 0 {
				t.Errorf("lost: %v", l.Losses())
			}
		})
	}
}

// A process that is stopped is noticed, also while a request is being sent to it.
func TestStoppedExecutor(t *testing.T) {
	for _, c := range []struct {
		way  way
		size int
	}{{way{"ring", ""}, 8}, {way{"ofi-write", "tcp"}, 64 << 20}} {
		over(t, c.way, func(t *testing.T) {
			offload.Hurry(t)
			s := session(t)
			l := lease(t, s, 1)
			in, out := offload.Alloc[byte](s, c.size), offload.Alloc[byte](s, c.size)
			e := l.Executors()[0]
			_, err := e.Invoke(within(t), "echo", in, out).Wait(within(t))
			check(t, err)
			stop(t, e.PID())
			lostBecause(t, e.Invoke(context.Background(), "echo", in, out), "has not answered")
			waitFor(t, "replacement", e.Ready)
			_, err = e.Invoke(within(t), "echo", in, out).Wait(within(t))
			check(t, err)
		})
	}
}

// Where the manager itself is stopped, an executor of this host is ended all the same.
func TestStoppedManager(t *testing.T) {
	over(t, way{"ring", ""}, func(t *testing.T) {
		offload.Hurry(t)
		s := session(t)
		l := lease(t, s, 1)
		stat, err := os.ReadFile("/proc/" + itoa(l.Executors()[0].PID()) + "/stat")
		check(t, err)
		_, rest, _ := strings.Cut(string(stat), ") ")
		manager := atoi(t, strings.Fields(rest)[1])
		in := offload.Alloc[uint32](s, 1)
		_, err = l.Invoke(within(t), "nap", in, nil).Wait(within(t)) // it has the buffer
		check(t, err)
		in.Slice()[0] = 60_000
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		defer cancel()
		pid := l.Executors()[0].PID()
		stop(t, manager)
		t.Cleanup(func() { _ = syscall.Kill(manager, syscall.SIGCONT) }) // it may have ended
		if _, err := l.Invoke(ctx, "nap", in, nil).Wait(within(t)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("past its deadline, under a manager that is stopped: %v", err)
		}
		if !hasEnded(pid) {
			t.Error("the function still runs")
		}
		check(t, syscall.Kill(manager, syscall.SIGCONT))
	})
}

// Who looks at a function with a debugger has all the time of the world.
func TestDebuggedExecutor(t *testing.T) {
	over(t, way{"ring", ""}, func(t *testing.T) {
		offload.Hurry(t)
		s := session(t)
		l := lease(t, s, 1)
		e := l.Executors()[0]
		in, out := offload.Alloc[byte](s, 8), offload.Alloc[byte](s, 8)
		_, err := e.Invoke(within(t), "echo", in, out).Wait(within(t)) // it has the buffers
		check(t, err)
		runtime.LockOSThread() // who traces is a thread
		defer runtime.UnlockOSThread()
		stop(t, e.PID())
		check(t, unix.PtraceSeize(e.PID()))
		f := e.Invoke(context.Background(), "echo", in, out)
		ctx, cancel := context.WithTimeout(context.Background(), offload.GivenUpAfter())
		defer cancel()
		if _, err := f.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) || !f.Pending() {
			t.Errorf("while it is stopped by a debugger: %v", err)
		}
		_, err = unix.Wait4(e.PID(), nil, unix.WALL, nil) // it says that it is stopped
		check(t, err)
		check(t, unix.PtraceDetach(e.PID()))
		check(t, unix.Kill(e.PID(), syscall.SIGCONT))
		_, err = f.Wait(within(t))
		check(t, err)
	})
}

// stop stops a process. A signal is sent sooner than it is taken: stop waits until no thread goes on.
func stop(t *testing.T, pid int) {
	t.Helper()
	check(t, syscall.Kill(pid, syscall.SIGSTOP))
	waitFor(t, "stop of all threads", func() bool { return isStopped(t, pid) })
}

// isStopped tells whether all threads of a process are.
func isStopped(t *testing.T, pid int) bool {
	t.Helper()
	threads, err := filepath.Glob("/proc/" + itoa(pid) + "/task/*/stat")
	check(t, err)
	for _, thread := range threads {
		stat, err := os.ReadFile(thread)
		_, state, _ := strings.Cut(string(stat), ") ")
		if err != nil || !strings.HasPrefix(strings.ToUpper(state), "T") {
			return false
		}
	}
	return len(threads) > 0
}
