package hosts_test

import (
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/sublet-hpc/sublet/internal/hosts"
	"github.com/sublet-hpc/sublet/offload"
)

// lateSession asks nobody before its first lease, for which nobody is there.
func lateSession(t *testing.T) *offload.Session {
	t.Helper()
	s, err := offload.Connect(within(t), offload.AtFirstLease())
	check(t, err)
	t.Cleanup(func() { check(t, s.Close()) })
	host, err := os.Hostname()
	check(t, err)
	if s.Node() != host {
		t.Errorf("before it is connected it is on node %q of host %q", s.Node(), host)
	}
	_, err = s.Lease(within(t), offload.Want{Executors: 1, Library: library})
	if err == nil {
		t.Fatal("nobody is there, and has granted a lease")
	}
	t.Log(err)
	return s
}

// leaseNear expects a lease of the node that is called near, and the session to be there.
func leaseNear(t *testing.T, s *offload.Session) {
	t.Helper()
	l := lease(t, s, 1)
	if s.Node() != "near" || l.Executors()[0].Node() != "near" {
		t.Errorf("it is on node %q, its executor on %q", s.Node(), l.Executors()[0].Node())
	}
	echo(t, s, l.Executors()[0], 100)
}

// A session that connects late is told by its first lease that the managers of its database do not answer, and by the
// next one on which node it is.
func TestFirstLeaseByADatabase(t *testing.T) {
	direct(t, managerEntry{"near", hosts.Address, 10005, 1, 64})
	s := lateSession(t)
	lendDirect(t, here(), hosts.Address, 10005, "--name", "near")
	leaseNear(t, s)
}

// So it is with a resource manager.
func TestFirstLeaseByAResourceManager(t *testing.T) {
	c := newCluster(t)
	c.Manager.End(t, syscall.SIGKILL)
	s := lateSession(t)
	c.Open(t)
	command := here()
	command.Args = append(command.Args, "executor-manager", "--name", "near")
	near := c.Start(t, command)
	hosts.Eventually(t, "its registration", func() bool { return strings.Contains(near.Logged(), "msg=registered") })
	leaseNear(t, s)
}
