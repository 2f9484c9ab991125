package hosts_test

import (
	"context"
	"errors"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/sublet-hpc/sublet/internal/hosts"
	"github.com/sublet-hpc/sublet/offload"
)

// A client leases executors on two other hosts, and loses one of the hosts.
func TestLeaseOverTwoHosts(t *testing.T) {
	c := newCluster(t)
	a, b := hosts.New(t), hosts.New(t)
	managerA := c.Lend(t, a, "--name", "a", "--cores", "1")
	c.Lend(t, b, "--name", "b", "--cores", "1")
	s := session(t)
	l := lease(t, s, 2)

	var nodes []string
	for _, e := range l.Executors() {
		nodes = append(nodes, e.Node())
		if path := e.Path(); path.Transport == "ring" || path.Provider != "tcp" {
			t.Errorf("%s is reached over %+v", e, path)
		}
		for _, size := range []int{1, 100, 1 << 20} {
			echo(t, s, e, size)
		}
	}
	slices.Sort(nodes)
	if !slices.Equal(nodes, []string{"a", "b"}) {
		t.Fatalf("executors are on %v", nodes)
	}
	victim, survivor := l.Executors()[0], l.Executors()[1]
	if victim.Node() != "a" {
		victim, survivor = survivor, victim
	}
	hanging := victim.Invoke(within(t), "hang", nil, nil)
	managerA.Signal(t, syscall.SIGKILL)
	killed := time.Now()
	_, err := hanging.Wait(within(t))
	var lost *offload.ExecutorLost
	if took := time.Since(killed); !errors.As(err, &lost) || took > 2*time.Second {
		t.Errorf("after %v: %v", took, err)
	}
	echo(t, s, survivor, 1000)
	hosts.Eventually(t, "the node's write-off", func() bool { _, nodes := c.Free(t); return nodes == 1 })
	check(t, l.Release())
	if free, _ := c.Free(t); free != 1 {
		t.Errorf("%d cores are free, not 1", free)
	}
}

// Nothing tells of a host that has vanished but its silence.
func TestVanishedHost(t *testing.T) {
	c := newCluster(t)
	a, b := hosts.New(t), hosts.New(t)
	c.Lend(t, a, "--name", "a", "--cores", "1")
	c.Lend(t, b, "--name", "b", "--cores", "1")
	s := session(t)
	l := lease(t, s, 2)
	victim, survivor := l.Executors()[0], l.Executors()[1]
	cut := map[string]*hosts.Host{"a": a, "b": b}[victim.Node()]
	hanging := victim.Invoke(within(t), "hang", nil, nil)
	mend := cut.Cut(t)
	began := time.Now()
	_, err := hanging.Wait(within(t))
	var lost *offload.ExecutorLost
	took := time.Since(began)
	t.Logf("the cut was noticed after %v", took)
	if !errors.As(err, &lost) || lost.Cause != offload.LostNode || took > 5*time.Second { // TestEnduranceDetectionOfSilence holds it to a second
		t.Errorf("after %v: %v", took, err)
	}
	echo(t, s, survivor, 1000)
	hosts.Eventually(t, "the node's write-off", func() bool { _, nodes := c.Free(t); return nodes == 1 })
	mend()
	hosts.Eventually(t, "the node's return", func() bool { _, nodes := c.Free(t); return nodes == 2 })
	hosts.Eventually(t, "an executor in place of the lost one", victim.Ready)
	echo(t, s, victim, 1000)
	check(t, l.Release())
	if free, nodes := c.Free(t); free != 2 || nodes != 2 {
		t.Errorf("%d cores of %d nodes are free", free, nodes)
	}
}

// An executor on another host that crashes is replaced.
func TestRemoteReplacement(t *testing.T) {
	c := newCluster(t)
	c.Lend(t, hosts.New(t), "--cores", "1")
	s := session(t)
	l := lease(t, s, 1)
	e := l.Executors()[0]
	for range 2 {
		_, err := e.Invoke(within(t), "crash", nil, nil).Wait(within(t))
		var lost *offload.ExecutorLost
		if !errors.As(err, &lost) || lost.Signal != syscall.SIGSEGV || lost.Function != "crash" {
			t.Fatalf("a crash: %v", err)
		}
		hosts.Eventually(t, "a replacement", e.Ready)
		echo(t, s, e, 100)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := e.Invoke(ctx, "hang", nil, nil).Wait(within(t)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a deadline: %v", err)
	}
	hosts.Eventually(t, "a replacement", e.Ready)
	echo(t, s, e, 100)
}
