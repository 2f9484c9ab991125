package offload

import (
	"context"
	"fmt"
	"math"
	"sync/atomic"
	"time"
)

// leasing is how a Split with Auto comes by the executors that it wants:
//
//	none ── it would pay ──▶ asked for, in the background ── granted ──▶ had until Close
//	  ▲                           │ refused
//	  └──────── after a pause ────┘
type leasing struct {
	asking  bool
	answer  chan leased
	end     context.CancelFunc
	again   time.Time // not before
	pause   time.Duration
	spent   float64 // seconds of work here
	seconds float64 // that the lease took
	leases  int
	refusal error // the last
}

type leased struct {
	lease   *Lease
	err     error
	seconds float64
	cost    float64 // without connecting the session
}

const (
	// leaseCost is how many seconds a lease is taken to cost before one was measured.
	leaseCost = 0.03
	// connectCost is the same of connecting the session, where that is still to be done.
	connectCost                         = 0.02
	firstLeasingPause, lastLeasingPause = time.Second, time.Minute
)

// costs remembers what a session's last lease took, in seconds.
type costs struct{ bits atomic.Uint64 }

func (c *costs) note(seconds float64) { c.bits.Store(math.Float64bits(seconds)) }

func (c *costs) value() float64 {
	if seconds := math.Float64frombits(c.bits.Load()); seconds > 0 {
		return seconds
	}
	return leaseCost
}

// leaseSeconds is what the next lease is taken to cost.
func (s *Session) leaseSeconds() float64 {
	if s.presence.isKnown() {
		return s.leaseCost.value()
	}
	return s.leaseCost.value() + connectCost
}

// leases tells whether the Split has to come by executors itself, and has none.
func (s *Split) wants() bool {
	return s.lease == nil && s.plan.Share == Auto && s.plan.Want.Executors > 0 && s.session != nil
}

// seekLease asks for a lease if that is worth it, and takes it when it has come; it waits for nothing. toCome is seconds
// of work that is known to come.
func (s *Split) seekLease(toCome float64) {
	l := &s.leasing
	if l.asking {
		select {
		case answer := <-l.answer:
			s.leaseAnswered(answer)
		default:
		}
		return
	}
	if !paysLease(l.spent, toCome, s.session.leaseSeconds()) || !l.again.IsZero() && time.Now().Before(l.again) {
		return
	}
	var ctx context.Context
	ctx, l.end = context.WithCancel(context.Background())
	l.answer, l.asking = make(chan leased, 1), true
	go func() {
		began := time.Now()
		lease, cost, err := s.session.lease(ctx, s.plan.Want)
		l.answer <- leased{lease, err, time.Since(began).Seconds(), cost.Seconds()}
	}()
}

func (s *Split) leaseAnswered(answer leased) {
	l := &s.leasing
	l.end()
	l.asking = false
	if answer.err != nil {
		l.pause = min(max(2*l.pause, firstLeasingPause), lastLeasingPause)
		l.again = time.Now().Add(l.pause)
		if l.refusal == nil {
			s.plan.Say(fmt.Sprintf("offload: no executors can be leased, so all is computed here; it is tried again: %v", answer.err))
		}
		l.refusal = answer.err
		return
	}
	l.refusal, l.pause = nil, 0
	l.seconds = answer.seconds
	l.leases++
	s.session.leaseCost.note(answer.cost)
	s.lease, s.own = answer.lease, true
	s.muster()
}

// endLeasing gives back what is had or asked for.
func (s *Split) endLeasing() error {
	if s.leasing.asking {
		s.leasing.end()
		answer := <-s.leasing.answer
		s.leasing.asking = false
		if answer.lease != nil {
			return answer.lease.Release()
		}
	}
	if s.own && s.lease != nil {
		return s.lease.Release()
	}
	return nil
}
