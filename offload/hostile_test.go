package offload_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sublet-hpc/sublet/internal/control"
	"github.com/sublet-hpc/sublet/internal/fabric"
	"github.com/sublet-hpc/sublet/internal/hostile"
	"github.com/sublet-hpc/sublet/offload"
)

// hostileLease leases two executors, the first of which does what the plan says, and the second
// nothing wrong. Both are this program. What the first does may keep the lease from being had, which then takes until the limit.
func hostileLease(t *testing.T, plan hostile.Plan, limit time.Duration) (*offload.Session, *offload.Lease, error) {
	t.Helper()
	offload.Hurry(t)
	noHelper := func() { waitFor(t, "end of the last test's helper", func() bool { return len(children(t)) == 0 }) }
	noHelper()
	t.Cleanup(noHelper)
	dir := t.TempDir()
	check(t, os.Symlink(filepath.Join(os.Getenv("SUBLET_BIN"), "sublet"), filepath.Join(dir, "sublet")))
	self, err := os.Executable()
	check(t, err)
	check(t, os.Symlink(self, filepath.Join(dir, "sublet-executor")))
	t.Setenv("SUBLET_BIN", dir)
	t.Setenv("SUBLET_POOL", "0") // this program is a hostile executor by what the lease says
	s := session(t)
	plan.Only = []int{0}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	l, err := s.Lease(ctx, offload.Want{
		Executors: 2, Library: library, Oversubscribe: true, HotTimeout: 20 * time.Millisecond,
		Environment: []string{asHostile + "=" + plan.String()},
	})
	return s, l, err
}

// children are this process's own, which the helper is.
func children(t *testing.T) []string {
	t.Helper()
	lists, err := filepath.Glob("/proc/self/task/*/children")
	check(t, err)
	var all []string
	for _, list := range lists {
		raw, err := os.ReadFile(list)
		if err == nil { // else the thread has ended
			all = append(all, strings.Fields(string(raw))...)
		}
	}
	return all
}

// trade invokes both executors of a lease in turn, until the first one's invocations fail or there
// have been that many. The second one must never notice.
func trade(t *testing.T, s *offload.Session, l *offload.Lease, size, most int) (served int, err error) {
	t.Helper()
	bad, good := l.Executors()[0], l.Executors()[1]
	in, out, other := offload.Alloc[byte](s, size), offload.Alloc[byte](s, size), offload.Alloc[byte](s, size)
	for ; served < most && err == nil; served++ {
		for i := range in.Slice() {
			in.Slice()[i] = byte(served + i)
		}
		var n int
		n, err = bad.Invoke(context.Background(), "echo", in, out).Wait(within(t))
		if errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("invocation %d has no ending", served)
		}
		if err == nil && n > size {
			t.Fatalf("invocation %d: %d bytes; %d were asked for", served, n, size)
		}
		if err == nil && n == size && !bytes.Equal(in.Slice(), out.Slice()) {
			t.Fatalf("invocation %d has another's result", served)
		}
		n, otherErr := good.Invoke(within(t), "echo", in, other).Wait(within(t))
		check(t, otherErr)
		if n != size || !bytes.Equal(in.Slice(), other.Slice()) {
			t.Fatalf("the other executor: %d bytes, or wrong ones", n)
		}
	}
	return served, err
}

// An executor that breaks the protocol is found out, said to have, and replaced.
func TestHostileExecutor(t *testing.T) {
	const fifth = probed + 5
	for _, test := range []struct {
		fault  fabric.Fault
		ways   []way
		reason string
	}{
		{fabric.Fault{Kind: fabric.Corrupt, Byte: 0}, []way{{"ring", ""}}, "was lost on its way"},
		{fabric.Fault{Kind: fabric.Corrupt, Byte: 0}, []way{{"ofi-write", "tcp"}, {"ofi-send", "shm"}}, "garbage"},
		{fabric.Fault{Kind: fabric.Corrupt, Byte: 23}, []way{{"ring", ""}, {"ofi-write", "tcp"}, {"ofi-send", "shm"}}, "more than was asked for"},
		{fabric.Fault{Kind: fabric.Drop}, []way{{"ofi-write", "shm"}}, "was lost on its way"},
		{fabric.Fault{Kind: fabric.Truncate, Byte: 16}, []way{{"ofi-write", "tcp"}, {"ofi-send", "tcp"}}, "garbage"},
		{fabric.Fault{Kind: fabric.Break}, []way{{"ring", ""}, {"ofi-write", "tcp"}}, ""},
	} {
		for _, way := range test.ways {
			over(t, way, func(t *testing.T) {
				fault := test.fault
				fault.Invocation, fault.Response = fifth, true
				s, l, err := hostileLease(t, hostile.Plan{Faults: []fabric.Fault{fault}}, patience)
				check(t, err)
				served, err := trade(t, s, l, 5000, 100)
				var lost *offload.ExecutorLost
				if !errors.As(err, &lost) || !strings.Contains(err.Error(), test.reason) || served != 5 {
					t.Errorf("%v byte %d: invocation %d ended with %v", fault.Kind, fault.Byte, served, err)
				}
				if l.Lost() != 1 {
					t.Errorf("%d executors were lost", l.Lost())
				}
			})
		}
	}
}

// Whatever an executor does to the memory that it shares with the rank, the rank goes on.
func TestHostileMemory(t *testing.T) {
	for _, name := range hostile.Attacks {
		t.Run(name, func(t *testing.T) {
			t.Setenv("SUBLET_TRANSPORT", "ring")
			s, l, err := hostileLease(t, hostile.Plan{Ring: name, From: probed + 5}, patience)
			check(t, err)
			size := 24 // rides in the response's line
			if name == "noise" {
				size = 48 // does not: what an executor writes for an output is the output
			}
			served, err := trade(t, s, l, size, 300)
			t.Logf("%d invocations, then %v", served, err)
			if served < 5 {
				t.Errorf("before the attack: %v", err)
			}
			// The session is whole: all its memory is there, and others can be leased.
			big := offload.Alloc[byte](s, 1<<20)
			_, err = l.Executors()[1].Invoke(within(t), "echo", big, big).Wait(within(t))
			check(t, err)
			clear(big.Slice())
		})
	}
}

// What an executor says on the control connection, or does not say, costs nobody but itself.
func TestHostileControl(t *testing.T) {
	for _, test := range []struct {
		on      string
		control hostile.Control
		after   int
	}{
		{control.TypeOpen, hostile.Garbage, 0},
		{control.TypeOpen, hostile.Wrong, 0},
		{control.TypeMap, hostile.Huge, 0},
		{control.TypeMap, hostile.Wrong, 0},
		{control.TypeMap, hostile.Mistaken, 0},
		{control.TypeMap, hostile.Closed, 0},
		{control.TypeUnmap, hostile.Wrong, 0},
		// When it has been tried, and is used.
		{control.TypeMap, hostile.Garbage, 1},
		{control.TypeMap, hostile.Wrong, 1},
		{control.TypeUnmap, hostile.Wrong, 1},
		{control.TypeUnmap, hostile.Closed, 1},
		{control.TypeProgress, hostile.Silent, 0},
		{control.TypeProgress, hostile.Lie, 0},
		{control.TypeProgress, hostile.Garbage, 0},
	} {
		t.Run(fmt.Sprintf("%s %s after %d", test.on, test.control, test.after), func(t *testing.T) {
			t.Setenv("SUBLET_TRANSPORT", "ring")
			wellAtFirst, inTime := test.after > 0 || test.on == control.TypeProgress, time.Second
			if wellAtFirst {
				inTime = patience
			}
			s, l, err := hostileLease(t, hostile.Plan{On: test.on, Control: test.control, After: test.after}, inTime)
			if err != nil {
				t.Logf("no lease: %v", err)
				if wellAtFirst {
					t.Error("it behaved well so far")
				}
				return // and the session is whole
			}
			for range 3 {
				big := offload.Alloc[byte](s, 1<<20) // a region of its own
				_, err := trade(t, s, l, 100_000, 3)
				t.Logf("ended with %v", err)
				check(t, big.Free())
			}
			if test.on != control.TypeProgress {
				return
			}
			waitFor(t, "replacement", l.Executors()[0].Ready)
			long := offload.Alloc[uint32](s, 1)
			long.Slice()[0] = 60_000
			lostBecause(t, l.Executors()[0].Invoke(context.Background(), "nap", long, nil), "")
			_, err = l.Executors()[1].Invoke(within(t), "echo", nil, nil).Wait(within(t))
			check(t, err)
		})
	}
}
