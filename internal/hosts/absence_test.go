package hosts_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sublet-hpc/sublet/internal/hosts"
	"github.com/sublet-hpc/sublet/offload"
)

// A host of the database that is off costs a session one moment, and its leases nothing; when it is there again
// it is leased from, without anybody having waited for it.
func TestHostThatIsOffHoldsNothingUp(t *testing.T) {
	h := hosts.New(t)
	direct(t, managerEntry{"far", h.Address, 10005, 1, 0}, managerEntry{"near", hosts.Address, 10005, 1, 0})
	lendDirect(t, here(), hosts.Address, 10005, "--name", "near", "--cores", "1")
	lendDirect(t, h.Command(sublet), h.Address, 10005, "--name", "far", "--cores", "1")
	mend := h.Mute(t)

	began := time.Now()
	s := session(t)
	if took := time.Since(began); took > 3*time.Second { // a second, and not the 5 that a host may take to answer
		t.Errorf("connecting took %v", took)
	}
	began = time.Now()
	const leases = 5
	for range leases {
		l, err := s.Lease(within(t), offload.Want{Executors: 1, Library: library, Oversubscribe: true})
		check(t, err)
		if node := l.Executors()[0].Node(); node != "near" {
			t.Errorf("the executor is on %s", node)
		}
		check(t, l.Release())
	}
	if took := time.Since(began); took > leases*time.Second { // each would have cost more than that
		t.Errorf("%d leases took %v", leases, took)
	}

	// Where the others have no room it is waited for, and what is said names it.
	_, err := s.Lease(within(t), offload.Want{Executors: 3, Library: library})
	if !errors.Is(err, offload.ErrNoCapacity) || !strings.Contains(err.Error(), "far at "+h.Address+":10005") || !strings.Contains(err.Error(), "has not answered for") {
		t.Errorf("more than there are: %v", err)
	}

	mend()
	hosts.Eventually(t, "a lease of the host that is there again", func() bool {
		l, err := s.Lease(within(t), offload.Want{Executors: 1, Library: library, Oversubscribe: true})
		check(t, err)
		defer func() { check(t, l.Release()) }()
		return l.Executors()[0].Node() == "far"
	})

	// One that is off when nobody else has room is leased from as soon as it answers.
	l := lease(t, s, 1)
	if l.Executors()[0].Node() != "far" {
		t.Errorf("the first of the database has room, and the lease is on %s", l.Executors()[0].Node())
	}
	check(t, l.Release())
}
