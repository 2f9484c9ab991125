package hosts_test

import (
	"errors"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sublet-hpc/sublet/internal/hosts"
	"github.com/sublet-hpc/sublet/offload"
)

// A manager that is told to end waits for what runs, of which nothing is run again, and ends; the program leases elsewhere,
// and learns why.
func TestManagerThatRetires(t *testing.T) {
	c := newCluster(t)
	managers := map[string]*hosts.Program{}
	for _, name := range []string{"a", "b"} {
		managers[name] = c.Lend(t, hosts.New(t), "--name", name, "--cores", "1")
	}
	s := session(t)
	l, err := s.Lease(within(t), offload.Want{Executors: 1, Library: library, NotRepeatable: true})
	check(t, err)
	e := l.Executors()[0]
	first := e.Node()
	f := burn(t, s, e, 700*time.Millisecond)
	began := time.Now()
	// Slurm tells all processes of a job; executors go on.
	check(t, syscall.Kill(e.PID(), syscall.SIGTERM))
	managers[first].Signal(t, syscall.SIGTERM)
	hosts.Eventually(t, "nothing more is sent there", func() bool { return !e.Ready() })
	if _, err := e.Invoke(within(t), "echo", nil, nil).Wait(within(t)); !isDrained(err) {
		t.Errorf("by an executor whose manager ends: %v", err)
	}
	if _, err := s.Lease(within(t), offload.Want{Executors: 2, Library: library}); !errors.Is(err, offload.ErrNoCapacity) || !strings.Contains(err.Error(), first+" drains") {
		t.Errorf("a lease of more than the other node has: %v", err)
	}
	_, err = f.Wait(within(t))
	check(t, err)
	managers[first].End(t, 0)
	if took := time.Since(began); took > defaultGrace/2 {
		t.Errorf("it ended %v after it was told to, of which its function took 700 ms of CPU time", took)
	}
	hosts.Eventually(t, "the other node", e.Ready)
	echo(t, s, e, 10)
	if e.Node() == first {
		t.Errorf("the executor is on %s, whose manager has ended", first)
	}
	if losses := l.Losses(); len(losses) != 1 || !isDrained(losses[0]) {
		t.Errorf("the losses are %v", losses)
	}
	check(t, l.Release())
	if free, nodes := c.Free(t); free != 1 || nodes != 1 {
		t.Errorf("%d cores of %d nodes are free", free, nodes)
	}
}

// defaultGrace is the manager's.
const defaultGrace = 25 * time.Second

func isDrained(err error) bool {
	var lost *offload.ExecutorLost
	return errors.As(err, &lost) && lost.Cause == offload.LostDrained
}

// What runs for longer than a manager waits is run on another node.
func TestGraceIsOver(t *testing.T) {
	c := newCluster(t)
	managers := map[string]*hosts.Program{}
	for _, name := range []string{"a", "b"} {
		managers[name] = c.Lend(t, hosts.New(t), "--name", name, "--cores", "1", "--grace", "200ms")
	}
	s := session(t)
	l := lease(t, s, 1)
	e := l.Executors()[0]
	first := e.Node()
	in, out := offload.Alloc[byte](s, 3), offload.Alloc[byte](s, 3)
	copy(in.Slice(), "abc")
	f := l.Invoke(within(t), "slow_echo", in, out)
	managers[first].End(t, syscall.SIGTERM)
	_, err := f.Wait(within(t))
	check(t, err)
	if string(out.Slice()) != "abc" || e.Node() == first {
		t.Errorf("%q by %s, after %s", out.Slice(), e.Node(), first)
	}
	if losses := l.Losses(); len(losses) != 1 || !isDrained(losses[0]) {
		t.Errorf("the losses are %v", losses)
	}
	check(t, l.Release())
}

// An allocation that ends: from some time before on its manager takes no new leases, and those that it has go elsewhere, or
// nowhere. The manager ends before the allocation does, whatever runs.
func TestAllocationEnds(t *testing.T) {
	c := newCluster(t)
	ends := time.Now().Add(8 * time.Second).Truncate(time.Second)
	n := c.Lend(t, hosts.New(t), "--name", "n", "--cores", "2", "--ends", strconv.FormatInt(ends.Unix(), 10), "--drain-before", "1h")
	s := session(t)
	l := lease(t, s, 1)
	e := l.Executors()[0]
	endless := burn(t, s, e, time.Hour)
	list, err := c.Client(t).Nodes(within(t), "")
	check(t, err)
	outlook := list[0].Outlook
	leases, err := c.Client(t).Leases(within(t))
	check(t, err)
	if len(leases) != 1 || !leases[0].AllocationEnds.Equal(ends) {
		t.Errorf("the allocation ends at %v, and the leases are %+v", ends, leases)
	}
	if left := time.Until(outlook.LendsUntil); !outlook.Ends.Equal(ends) || left > 4*time.Second || list[0].Drain != nil {
		t.Errorf("it lends for %v: %+v", left, list[0])
	}
	hosts.Eventually(t, "nothing more is sent there", func() bool { return !e.Ready() })
	if at := time.Now(); at.Before(outlook.LendsUntil) {
		t.Errorf("its leases were told %v too early", outlook.LendsUntil.Sub(at))
	}
	_, err = s.Lease(within(t), want(1))
	if !errors.Is(err, offload.ErrNoCapacity) || !strings.Contains(err.Error(), "allocation ends") {
		t.Errorf("a lease of a node whose allocation ends: %v", err)
	}
	if _, err := endless.Wait(within(t)); !isDrained(err) {
		t.Errorf("what ran until the end: %v", err)
	}
	n.End(t, 0)
	if at := time.Now(); at.After(ends) {
		t.Errorf("the manager ended %v after its allocation", at.Sub(ends))
	}
	// The lease has gone with it: its program asks for another one elsewhere, under another name or with none left.
	leases, err = c.Client(t).Leases(within(t))
	check(t, err)
	if len(leases) != 0 || time.Now().After(ends) {
		t.Errorf("%v before the end of the allocation there are the leases %+v", time.Until(ends), leases)
	}
	check(t, l.Release())
}

// On its own host, too, nothing is lost that a manager has time for.
func TestManagerOnThisHostRetires(t *testing.T) {
	spare(t)
	c := newCluster(t)
	command := exec.Command(sublet, "executor-manager", "--cores", "1", "--name", "here")
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	here := c.Start(t, command)
	hosts.Eventually(t, "its registration", func() bool { return strings.Contains(here.Logged(), "msg=registered") })
	s := session(t)
	l, err := s.Lease(within(t), offload.Want{Executors: 1, Library: library, NotRepeatable: true, Oversubscribe: true})
	check(t, err)
	e := l.Executors()[0]
	if path := e.Path(); path.Transport != "ring" {
		t.Errorf("it is reached over %+v", path)
	}
	f := burn(t, s, e, 500*time.Millisecond)
	c.Lend(t, hosts.New(t), "--name", "n", "--cores", "1")
	here.End(t, syscall.SIGTERM)
	_, err = f.Wait(within(t))
	check(t, err)
	hosts.Eventually(t, "the other node", e.Ready)
	echo(t, s, e, 10)
	if e.Node() != "n" {
		t.Errorf("the executor is on %s", e.Node())
	}
	check(t, l.Release())
}
