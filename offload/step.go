package offload

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"
)

// A step goes round in one goroutine, the caller's, until nothing is left:
//
//	take what executors have answered ──▶ send them what comes next ──▶ compute a part here
//	  ▲                                                                    │ nothing is left to compute
//	  └────────────────────────────────────────────────────────────────────┴──▶ wait for an answer

// shortStep is for how many seconds of a step nobody minds that executors do nothing, to measure the caller alone.
const shortStep = 1e-3

// mode is who takes part in a step.
type mode int

const (
	together  mode = iota
	leading        // executors, after the caller has computed a part alone, to be measured
	tentative      // executors get little, to see whether they are worth it
	alone          // no executor
)

// Step does one step: it sends parts, computes items here meanwhile, waits, and has lost parts done
// again: by another executor of the lease that is ready, else locally. Executors
// that are killed, or go away with their node, cost nothing else. A part that was running when its
// executor ended of its own accord, or that ran past a deadline that Remote gave it, is only given to
// one more, its replacement; if it ends that one as well Step fails with [ErrPoison], or [ErrDeadline].
//
// A function's own error, that of Local, and a loss under Want.NotRepeatable end the step when nothing
// of it is in flight any more. The end of ctx ends it at once: parts that were sent may still run, and
// their buffers stay lent.
func (s *Split) Step(ctx context.Context, work Work) error { return s.StepN(ctx, s.plan.Items, work) }

// StepN is Step with another number of items than Plan.Items, no more than that with Plan.Weights or
// Plan.Resident.
func (s *Split) StepN(ctx context.Context, items int, work Work) error {
	if s.closed {
		return classify(ErrClosed, "offload: the split is closed")
	}
	if items < 0 || (s.scale.sums != nil || s.plan.Resident) && items > s.plan.Items {
		return fmt.Errorf("offload: a step of %d items by a split of %d", items, s.plan.Items)
	}
	began := s.now()
	s.begin(ctx, items, work)
	err := s.loop()
	s.ctx, s.work = nil, Work{}
	seconds := s.now() - began
	s.seconds += seconds
	s.steps++
	if err == nil {
		s.conclude(seconds)
	}
	return err
}

// begin decides who takes part in a step, and what each is to do.
func (s *Split) begin(ctx context.Context, items int, work Work) {
	s.ctx, s.work = ctx, work
	s.errs, s.again, s.flying, s.index = nil, s.again[:0], 0, 0
	s.computed, s.remote = effort{}, 0
	s.stepWork = s.scale.work(0, items)
	s.items = items
	for i := range s.crews {
		c := &s.crews[i]
		c.sent, c.queue, c.given, c.tried, c.late = c.sent[:0], c.queue[:0], false, false, 0
	}
	if s.wants() {
		s.seekLease(s.toCome())
	}
	s.mode = s.choose()
	if s.dealing {
		s.deal(items)
	} else {
		s.assign(items)
	}
}

// choose decides who takes part.
func (s *Split) choose() mode {
	switch {
	case s.plan.Share != Auto:
		return together
	case len(s.crews) == 0 || !s.ready():
		return alone
	case s.worth.off && s.worth.trial():
		return tentative
	case s.worth.off:
		return alone
	case s.dealing && s.worth.measuresAlone():
		if s.local.count > 0 && s.local.value*s.stepWork < shortStep {
			return alone
		}
		return leading
	}
	return together
}

// deal divides items by what is known of everybody.
func (s *Split) deal(items int) {
	s.dealer.workers[0] = worker{rate: s.pace()}
	for i := range s.crews {
		c, w := &s.crews[i], &s.dealer.workers[1+i]
		*w = worker{rate: c.pace.rate(), latency: c.pace.delay(), delay: c.pace.delay()}
		w.out = s.mode == alone
		if c.tried = s.mode == tentative || s.mode != alone && c.isTried(); c.tried {
			w.rate = 0
		}
	}
	s.dealer.expecting = s.wants()
	s.dealer.begin(items, s.shares, s.limits)
}

// pace is the caller's work per second, 0 if it is unknown: in this step as soon as it has been at work for a while.
func (s *Split) pace() float64 {
	if s.computed.work > 0 && (s.computed.seconds > shortStep || s.local.count == 0) {
		return s.computed.work / max(s.computed.seconds, tiny)
	}
	if s.local.count == 0 {
		return 0
	}
	return 1 / max(s.local.value, tiny)
}

func (s *Split) loop() error {
	for {
		for i := range s.crews {
			s.gather(&s.crews[i])
		}
		if hasEnded(s.ctx) {
			return s.abandon()
		}
		if len(s.errs) == 0 {
			if s.mode != leading {
				s.feed()
			}
			if span := s.ownPart(); span.Len() > 0 {
				s.compute(span)
				continue
			}
		}
		switch {
		case s.flying > 0:
			s.await()
		case len(s.errs) > 0:
			return errors.Join(s.errs...)
		case len(s.again) > 0:
			s.redo()
		case s.dealing && s.dealer.items > 0: // executors that can not, or do not want
			for i := range s.crews {
				s.dealer.retire(1 + i)
			}
		default:
			return nil
		}
	}
}

// abandon ends a step whose context has ended: what is in flight goes on.
func (s *Split) abandon() error {
	for i := range s.crews {
		s.crews[i].sent = s.crews[i].sent[:0]
	}
	return errors.Join(append(s.errs, overdue(s.ctx, "a step", "before it was done"))...)
}

// effort is work, and the seconds that it took.
type effort struct{ work, seconds float64 }

// compute computes items here.
func (s *Split) compute(span Span) {
	began := s.now()
	err := s.work.Local(span.Lo, span.Hi)
	ended := s.now()
	work := s.scale.work(span.Lo, span.Hi)
	s.computed.work += work
	s.computed.seconds += ended - began
	if s.mode == leading {
		s.mode = together
		s.worth.alone.add((ended - began) / max(work, tiny))
	}
	s.done.Items += int64(span.Len())
	s.done.Parts++
	s.done.Seconds += ended - began
	s.leasing.spent += ended - began
	s.timeline.add(0, began, ended, span.Lo, span.Hi, s.steps)
	if err != nil {
		s.errs = append(s.errs, err)
		return
	}
	if s.wants() {
		s.seekLease(s.toCome())
		if s.dealing && s.lease != nil { // it has just come
			for i := range s.crews {
				s.dealer.workers[1+i] = worker{latency: likely, delay: likely}
			}
			s.mode, s.dealer.expecting = together, false
		}
	}
}

// toCome is how many seconds of work are known to come: the rest of the step, and Plan.Steps.
func (s *Split) toCome() float64 {
	rate := s.pace()
	if rate == 0 {
		return 0
	}
	return (s.stepWork*float64(max(s.plan.Steps-s.steps, 1)) - s.computed.work) / rate
}

// conclude learns from a step that is done.
func (s *Split) conclude(seconds float64) {
	if s.computed.work > 0 {
		s.local.add(s.computed.seconds / s.computed.work)
	}
	s.lastShare = 0
	if s.stepWork > 0 {
		s.lastShare = s.remote / s.stepWork
	}
	if s.plan.Share != Auto || s.stepWork == 0 {
		return
	}
	idle := s.remote == 0
	for i := range s.crews {
		if c := &s.crews[i]; s.mode != alone {
			c.endStep()
		}
	}
	switch {
	case s.mode == alone:
		if s.computed.work > 0 {
			s.worth.alone.add(s.computed.seconds / s.computed.work)
		}
	case s.mode == tentative && idle:
		s.worth.stop()
	case s.mode == tentative:
		s.worth.tried(s.without(), s.predict())
		s.noteOff()
	case s.worth.judge(s.without(), seconds, idle):
		s.noteOff()
	}
	if !s.dealing {
		s.reconsider()
	}
}

// without is how many seconds the step would take the caller alone. Beside executors it is no faster than without: what
// was measured of that bounds what was measured of a little.
func (s *Split) without() float64 {
	each := s.local.value
	if s.worth.alone.count > 0 && (s.local.count == 0 || s.worth.alone.value < each) {
		each = s.worth.alone.value
	}
	return each * s.stepWork
}

// predict is how many seconds the step would take by what is known of everybody.
func (s *Split) predict() float64 {
	workers := s.dealer.workers
	workers[0] = worker{rate: s.pace()}
	for i := range s.crews {
		p := &s.crews[i].pace
		workers[1+i] = worker{rate: p.rate(), delay: p.delay(), out: s.crews[i].executor.usable() == nil}
	}
	return finish(workers, s.stepWork)
}

// noteOff keeps why offloading does not pay, if it does not, and says so when that is sure: when it was tried again in
// vain. One bad stretch of steps is no reason.
func (s *Split) noteOff() {
	if !s.worth.off {
		return
	}
	here := s.without()
	with := here * s.worth.ratio()
	if s.mode == tentative {
		with = s.predict()
	}
	s.off = "offload: offloading does not pay: " + comparison(s.items, here, with)
	best, latency := 0.0, math.Inf(1)
	for i := range s.crews {
		if p := &s.crews[i].pace; p.known() {
			best, latency = max(best, p.rate()), min(latency, p.delay())
		}
	}
	if best > 0 {
		s.off += fmt.Sprintf(", which answer after %s and do %.3g units of work a second, the caller %.3g", inSeconds(latency), best, s.stepWork/max(here, tiny))
	}
	if s.worth.pause > firstPause {
		s.sayOff()
	}
}

// comparison is how long a step takes here and with executors. It may be less with them, and yet not pay: when no
// executor gets any of it, and when what is gained is less than what it must be.
func comparison(items int, here, with float64) string {
	takes := fmt.Sprintf("a step of %d items takes %s here", items, inSeconds(here))
	switch {
	case with > here:
		return takes + " and " + inSeconds(with) + " with executors"
	case with > (1-worthwhile)*here:
		return takes + " and hardly less with executors"
	}
	return takes + ", too little to send any of it to executors"
}

// sayOff says, once, that offloading does not pay.
func (s *Split) sayOff() {
	if s.said {
		return
	}
	s.said = true
	s.plan.Say(s.off + "; all is computed here, and now and then it is tried again")
}

// sayUnleased says, at the end, that a lease would not have been worth what it costs.
func (s *Split) sayUnleased() {
	if !s.wants() || s.leasing.refusal != nil || s.leasing.asking || s.steps == 0 || s.said {
		return
	}
	s.said = true
	s.plan.Say(fmt.Sprintf("offload: nothing was leased: all items took %s here, and a lease takes about %s", inSeconds(s.leasing.spent), inSeconds(s.session.leaseSeconds())))
}

// inSeconds writes seconds as people read them.
func inSeconds(seconds float64) string {
	return time.Duration(seconds * float64(time.Second)).Round(time.Duration(max(math.Pow(10, math.Floor(math.Log10(max(seconds, 1e-9)))-2)*1e9, 1))).String()
}
