package hosts_test

import (
	"net/netip"
	"path/filepath"
	"testing"

	"github.com/sublet-hpc/sublet/internal/hosts"
	"github.com/sublet-hpc/sublet/offload"
)

// Over IPv6 all is as over IPv4: the resource manager, the executor managers, and both ways of calling executors.
func TestLeaseOverIPv6(t *testing.T) {
	h := hosts.New(t)
	six := h.Six(t)
	c := hosts.NewClusterAt(t, filepath.Dir(sublet), hosts.Address6)
	c.Lend(t, h, "--name", "n", "--cores", "1")
	nodes, err := c.Client(t).Nodes(within(t), "")
	check(t, err)
	at, err := netip.ParseAddrPort(nodes[0].Address)
	check(t, err)
	if at.Addr().String() != six {
		t.Errorf("the node is at %v, and its host has %s towards the resource manager", at, six)
	}
	for _, transport := range []string{"ofi-write", "ofi-send"} {
		t.Setenv("SUBLET_TRANSPORT", transport)
		s := session(t)
		l := lease(t, s, 1)
		e := l.Executors()[0]
		if e.Path().Transport != transport {
			t.Errorf("%s was asked for, and the executor is reached over %+v", transport, e.Path())
		}
		for _, size := range []int{1, 100_000, 3 << 20} {
			echo(t, s, e, size)
		}
		if _, err := e.Invoke(within(t), "crash", nil, nil).Wait(within(t)); err == nil {
			t.Error("a crash is no error")
		}
		hosts.Eventually(t, "another in its place", e.Ready)
		echo(t, s, e, 1000)
		check(t, l.Release())
	}
}

// Who leases by an executors database names addresses of IPv6 there as they are.
func TestDatabaseOfIPv6(t *testing.T) {
	h := hosts.New(t)
	six := h.Six(t)
	direct(t, managerEntry{"n", six, 10005, 1, 0})
	lendDirect(t, h.Command(sublet), six, 10005, "--name", "n", "--cores", "1")
	s := session(t)
	l, err := s.Lease(within(t), offload.Want{Executors: 1, Library: library})
	check(t, err)
	echo(t, s, l.Executors()[0], 100_000)
	check(t, l.Release())
}
