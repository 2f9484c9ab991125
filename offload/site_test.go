package offload

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"
)

// While the lease asks its sites whether they are lost, they tell it that they are: neither may wait
// for the other.
func TestLossesOfSitesAtOnce(t *testing.T) {
	const rounds = 2000
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range rounds {
			loseAtOnce(t)
		}
	}()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatal("a lease and its sites wait for each other")
	}
}

// loseAtOnce loses one site of a lease while the grants that are lost are looked for.
func loseAtOnce(t *testing.T) {
	l := &Lease{}
	l.alive, l.end = context.WithCancel(t.Context())
	defer l.end()
	l.refilling = true // by us
	ended := &link{closed: make(chan struct{}), err: errors.New("ended")}
	close(ended.closed)
	s := l.newSite([]*Executor{newExecutor(l, 0)})
	s.link = ended
	s.living.Add(1)
	l.grants = []*grant{{lease: l, sites: []*site{s}}}
	s.accept()

	var both sync.WaitGroup
	both.Go(s.leave)
	both.Go(l.dropLostGrants)
	both.Wait()
	if !s.isLost() || len(l.vacant) != 1 {
		t.Errorf("after its loss a site is lost: %v, and the lease has %d executors without a berth", s.isLost(), len(l.vacant))
	}
}
