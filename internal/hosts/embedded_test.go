package hosts_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sublet-hpc/sublet/internal/cpus"
	"github.com/sublet-hpc/sublet/internal/hosts"
	"github.com/sublet-hpc/sublet/offload"
)

// embedded has the test's sessions use helpers of their own, without a resource manager.
func embedded(t *testing.T) {
	t.Helper()
	t.Setenv("SUBLET_DIR", t.TempDir())
	t.Setenv("SUBLET_BIN", filepath.Dir(sublet))
}

// spare is how many cores a helper has to lend beside the one that its only rank computes on. To ask
// costs a thread, with which the programs die that it has started: it is asked for first.
func spare(t *testing.T) int {
	t.Helper()
	allowed, err := cpus.Allowed()
	check(t, err)
	cores, _, err := cpus.Physical(&allowed, cpus.Folder)
	check(t, err)
	if len(cores) < 2 {
		t.Fatalf("this test lends a core beside its own, and the machine has %d", len(cores))
	}
	return len(cores) - 1
}

// want asks for one core, and waits for it as long as it is told.
func want(wait time.Duration) offload.Want {
	return offload.Want{Executors: 1, Library: library, Wait: wait}
}

// Two programs on one node, each with a helper of its own: the first has all cores, so the second is
// told so, or waits until the first gives them back or is killed.
func TestTwoProgramsWithTheirOwnHelpers(t *testing.T) {
	for name, ending := range map[string]syscall.Signal{"released": syscall.SIGTERM, "killed": syscall.SIGKILL} {
		t.Run(name, func(t *testing.T) {
			embedded(t)
			all := spare(t)
			first := hosts.Start(t, holding(all))
			hosts.Eventually(t, "the first program's lease", func() bool { return strings.Count(first.Logged(), "holds core ") == all })
			second := session(t)
			_, err := second.Lease(within(t), want(0))
			expectTaken(t, err, "used by another executor manager of this user")
			l := waitFor(t, second, func() { first.End(t, ending) })
			if held := fmt.Sprintf("holds core %d\n", l.Executors()[0].Core()); !strings.Contains(first.Logged(), held) {
				t.Errorf("core %d was lent, which the first program did not have:\n%s", l.Executors()[0].Core(), first.Logged())
			}
			echo(t, second, l.Executors()[0], 1000)
			check(t, l.Release())
		})
	}
}

// Two sessions that share a helper, as the ranks of one job do.
func TestTwoSessionsOfOneHelper(t *testing.T) {
	embedded(t)
	cores := spare(t)
	first, second := session(t), session(t)
	all := lease(t, first, cores)
	_, err := second.Lease(within(t), want(0))
	expectTaken(t, err, "lent to lease ")
	l := waitFor(t, second, func() { check(t, all.Release()) })
	echo(t, second, l.Executors()[0], 1000)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := first.Lease(ctx, offload.Want{Executors: cores, Library: library, Wait: patience}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a deadline while waiting: %v", err)
	}
	check(t, l.Release())
	check(t, lease(t, first, cores).Release()) // who gave up has not taken it
}

// expectTaken looks at what a program is told when all cores are somebody's.
func expectTaken(t *testing.T, err error, by string) {
	t.Helper()
	if !errors.Is(err, offload.ErrNoCapacity) || !strings.Contains(err.Error(), by) {
		t.Fatalf("all cores are lent: %v", err)
	}
}

// waitFor waits for a core in vain, and then for one that comes free.
func waitFor(t *testing.T, s *offload.Session, comesFree func()) *offload.Lease {
	t.Helper()
	const short = 200 * time.Millisecond
	began := time.Now()
	_, err := s.Lease(within(t), want(short))
	if took := time.Since(began); !errors.Is(err, offload.ErrNoCapacity) || took < short {
		t.Fatalf("after waiting for %v: %v", took, err)
	}
	type answer struct {
		lease *offload.Lease
		err   error
	}
	ctx := within(t)
	answers := make(chan answer, 1)
	go func() {
		l, err := s.Lease(ctx, want(patience))
		answers <- answer{l, err}
	}()
	select {
	case a := <-answers:
		t.Fatalf("all cores are lent, and the answer is %v, %v", a.lease, a.err)
	case <-time.After(short):
	}
	comesFree()
	a := <-answers
	check(t, a.err)
	return a.lease
}
