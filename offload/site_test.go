package offload

import (
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
	l := newLease(newSession(), Want{Executors: 1})
	defer l.end()
	l.refilling = true // by us
	s := endedSite(l)
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

// endedSite is one whose manager is gone.
func endedSite(l *Lease) *site {
	s := l.newSite(l.executors)
	s.link = &link{closed: make(chan struct{}), err: errors.New("ended")}
	close(s.link.closed)
	return s
}

// Who loses a site while the lease rests between two attempts does not wait for the rest of it.
func TestLossEndsTheRest(t *testing.T) {
	l := newLease(newSession(), Want{Executors: 1})
	defer l.end()
	l.refilling = true // by us
	rested := make(chan bool, 1)
	go func() { rested <- l.rest(time.Hour) }()
	l.vacate(endedSite(l))
	select {
	case vacated := <-rested:
		if !vacated {
			t.Error("the pause ended, and not because of the loss")
		}
	case <-time.After(time.Minute):
		t.Error("the pause goes on")
	}
}

// What the refilling can not give back when the lease is released, the release gives back.
func TestReleaseBesideRefilling(t *testing.T) {
	s := newSession()
	l := newLease(s, Want{Executors: 1})
	s.add(l)
	late := endedSite(l)
	l.rerunning.Go(func() {
		<-l.alive.Done()
		l.mu.Lock()
		defer l.mu.Unlock()
		l.grants = append(l.grants, &grant{lease: l, sites: []*site{late}})
	})
	if err := l.Release(); err != nil || !late.isReleased() {
		t.Errorf("given back: %v; %v", late.isReleased(), err)
	}
}
