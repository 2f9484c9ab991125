package hosts_test

import (
	"errors"
	"syscall"
	"testing"
	"time"

	"github.com/sublet-hpc/sublet/internal/hosts"
	"github.com/sublet-hpc/sublet/offload"
)

// A lease ends when its time limit is over although it is renewed, also while there is no resource manager; the
// next one knows of the limit, and then that the lease has ended. Who has lost a node of it meanwhile gets others
// for the time that is left, and none afterwards.
func TestTimeLimitWithoutResourceManager(t *testing.T) {
	c := newCluster(t)
	managers := map[string]*hosts.Program{}
	for _, name := range []string{"a", "b", "c"} {
		managers[name] = c.Lend(t, hosts.New(t), "--name", name, "--cores", "1")
	}
	s := session(t)
	const (
		limit = 15 * time.Second // in which a machine that is busy does what follows
		slack = 3 * time.Second  // between a request and its grant, on such a machine
	)
	asked := time.Now()
	l, err := s.Lease(within(t), offload.Want{Executors: 2, Library: library, TimeLimit: limit})
	check(t, err)
	granted := time.Now()
	victim, survivor := l.Executors()[0], l.Executors()[1]
	managers[victim.Node()].End(t, syscall.SIGKILL)
	hosts.Eventually(t, "an executor in place of the lost one", func() bool { return l.Lost() == 1 && victim.Ready() })
	client := c.Client(t)
	hosts.Eventually(t, "both parts held", func() bool {
		leases, err := client.Leases(t.Context())
		return err == nil && len(leases) == 2
	})
	c.Manager.End(t, syscall.SIGKILL)
	c.Open(t)
	leases, err := c.Client(t).Leases(t.Context())
	check(t, err)
	for _, lease := range leases {
		if lease.Until.Before(asked.Add(limit)) || lease.Until.After(granted.Add(limit+slack)) {
			t.Errorf("after a start lease %s lasts until %v; it was asked for at %v, for %v, and there at %v", lease.ID, lease.Until, asked, limit, granted)
		}
	}
	c.Manager.End(t, syscall.SIGKILL)
	for _, e := range []*offload.Executor{victim, survivor} {
		_, err := e.Invoke(within(t), "hang", nil, nil).Wait(within(t))
		var lost *offload.ExecutorLost
		if !errors.As(err, &lost) || lost.Cause != offload.LostTimeLimit {
			t.Errorf("%s, at the limit: %v", e, err)
		}
	}
	if took := time.Since(asked); took < limit {
		t.Errorf("it was over after %v, not %v", took, limit)
	}
	c.Open(t)
	hosts.Eventually(t, "the end of both parts", func() bool {
		leases, err := c.Client(t).Leases(t.Context())
		return err == nil && len(leases) == 0
	})
	hosts.Eventually(t, "all cores of the two managers", func() bool { free, _ := c.Free(t); return free == 2 })
	if victim.Ready() || survivor.Ready() {
		t.Error("there is an executor after the limit")
	}
	check(t, l.Release())
}
