package offload

import (
	"context"
	"fmt"
	"time"
)

// crew is an executor of a Split: what is known of it, and what it has to do.
type crew struct {
	executor *Executor
	pace     pace
	queue    []Part    // of this step, where parts are given at once
	sent     []attempt // in flight, the oldest first
	until    float64   // when it will have done them, by what is known
	looked   float64   // when nothing had come yet
	answered [2]float64
	given    bool    // something in this step
	late     float64 // seconds by which an answer came late in this step, the most
	tried    bool    // in this step it gets little, to see how fast it is
	skipped  int     // steps in which it was given nothing
	pause    int     // after how many of them it is tried again
	away     float64 // since when it is not there; 0: it is
	gone     bool    // and is not reckoned with any more
	tally    Effort
}

// attempt is a part that was sent.
type attempt struct {
	part   Part
	future Future
	work   float64
	at     float64 // when it was sent
	first  bool    // nothing was in flight
	fresh  bool    // its Piece goes to this executor for the first time
	took   float64 // seconds to send it
	sent   int     // times
	blamed int     // executors that ended, or had to be ended, while they ran it
	due    float64 // when the answer is expected; 0: nobody knows
	called bool    // back
}

// muster makes a crew of each executor.
func (s *Split) muster() {
	if s.lease == nil || len(s.crews) == len(s.lease.executors) {
		return
	}
	for _, e := range s.lease.executors[len(s.crews):] {
		s.crews = append(s.crews, crew{executor: e, sent: make([]attempt, 0, 4)})
		s.dealer.workers = append(s.dealer.workers, worker{})
	}
	s.shares = make([]float64, len(s.dealer.workers))
	s.limits = make([]int, len(s.dealer.workers))
}

// ready tells whether an executor can take something.
func (s *Split) ready() bool {
	for i := range s.crews {
		if s.crews[i].executor.usable() != nil {
			return true
		}
	}
	return false
}

// now is seconds.
func (s *Split) now() float64 { return time.Since(s.epoch).Seconds() }

// send sends a part, which an executor may have had before.
func (s *Split) send(c *crew, a attempt) {
	a.part.Executor = c.executor
	a.work = s.scale.work(a.part.Lo, a.part.Hi)
	a.first, a.called = len(c.sent) == 0, false
	began := s.now()
	a.future = s.work.Remote(s.ctx, a.part)
	a.at = s.now()
	a.took = a.at - began
	a.sent++
	if a.first {
		c.looked, c.answered = a.at, [2]float64{a.at, a.at}
	}
	c.until = max(c.until, a.at+c.pace.delay())
	a.due = 0
	if rate := c.pace.rate(); rate > 0 {
		c.until += a.work / rate
		a.due = c.until
	}
	c.sent = append(c.sent, a)
	c.given = true
	s.flying++
}

// gather takes what a crew has answered.
func (s *Split) gather(c *crew) {
	for len(c.sent) > 0 {
		if !c.sent[0].future.poll(0) {
			c.looked = s.now()
			return
		}
		a := c.sent[0]
		c.sent = c.sent[:copy(c.sent, c.sent[1:])]
		s.flying--
		now := s.now()
		again, err := s.answer(c, &a, now)
		if err != nil {
			s.errs = append(s.errs, err)
		}
		if again {
			s.lose(c, a)
		}
	}
}

// answer deals with a part whose future has ended, and tells whether it has to be done again.
func (s *Split) answer(c *crew, a *attempt, now float64) (again bool, _ error) {
	end, err := a.future.wait(s.ctx)
	switch {
	case err != nil:
		return s.fail(a, end, err)
	case end.size != end.capacity:
		return false, fmt.Errorf("function %s on %s returned %d bytes for items %d to %d, whose output has %d",
			end.function.name, a.part.Executor, end.size, a.part.Lo, a.part.Hi-1, end.capacity)
	}
	s.learn(c, a, now, end)
	return false, nil
}

// learn notes how a part went that was done.
func (s *Split) learn(c *crew, a *attempt, now float64, end ending) {
	inCall := end.inCall.Seconds()
	looked := max(c.looked, a.at)
	if a.due > 0 && !a.fresh {
		c.late = max(c.late, looked-a.due)
	}
	switch {
	case a.fresh:
		if c.pace.known() && a.work > 0 {
			s.price.add(max(a.took+now-a.at-inCall-c.pace.delay(), 0) / a.work)
		}
		c.pace.ran(a.work, inCall)
	case a.first:
		c.pace.ran(a.work, inCall)
		c.pace.answered(looked-a.at-inCall, now-a.at-inCall)
	default:
		c.pace.ran(a.work, inCall)
		c.pace.followed(a.work, looked-c.answered[1], now-c.answered[0])
	}
	c.answered = [2]float64{looked, now}
	c.until = now
	if rate := c.pace.rate(); rate > 0 {
		for i := range c.sent {
			c.until += c.sent[i].work / rate
		}
	}
	c.tally.Items += int64(a.part.Hi - a.part.Lo)
	c.tally.Parts++
	c.tally.Seconds += inCall
	c.tally.Bytes += int64(end.bytes)
	s.remote += a.work
	s.timeline.add(1+c.executor.index, max(now-inCall, a.at), now, a.part.Lo, a.part.Hi, s.steps)
}

// endStep notes how an executor has done in a step in which it took part or could have.
func (c *crew) endStep() {
	switch {
	case !c.given:
		c.skipped++
		return
	case c.tried && c.late < max(c.pace.latency, crumb): // it is as good as new
		c.pace.late = smooth{}
	default:
		c.pace.late.add(c.late)
	}
	if !c.tried {
		c.pause = 0
	}
	c.skipped = 0
}

// isTried tells whether an executor that was given nothing for long is tried with little in this step.
func (c *crew) isTried() bool {
	if c.skipped <= max(c.pause, firstPause) {
		return false
	}
	c.pause = min(2*max(c.pause, firstPause), lastPause)
	return true
}

const (
	// patienceFactor is how much longer than usual a part may take before it is taken back.
	patienceFactor = 10
	// leastPatience is how long one may take in any case.
	leastPatience = time.Second
	// hiccup is for how many seconds the caller may not come to look before it is taken to have stood still.
	hiccup = 0.1
)

// callBack ends executors that have a part for much longer than they should: afterwards others can do it. Who is slow is
// found out by the parts that it gets; this is for who has stopped.
func (s *Split) callBack(now float64) {
	if s.plan.Share != Auto || s.lease.want.NotRepeatable {
		return
	}
	for i := range s.crews {
		c := &s.crews[i]
		if len(c.sent) == 0 || c.sent[0].called || c.pace.cost.count < 3 {
			continue
		}
		a := &c.sent[0]
		usual := s.slower() * (c.pace.delay() + a.work*max(c.pace.cost.value, c.pace.move))
		since := now - max(a.at, c.answered[1], s.resumed)
		if since < max(patienceFactor*usual, leastPatience.Seconds()) {
			continue
		}
		a.called = true
		if way := c.executor.usable(); way != nil {
			way.kill(fmt.Errorf("it had items %d to %d of a step for %.3g s, which it usually does in %.3g s; others do them", a.part.Lo, a.part.Hi-1, since, usual))
		}
	}
}

// slower is how many times as long as usual the caller takes for the same work in this step, at least 1: so may executors.
func (s *Split) slower() float64 {
	if s.local.count == 0 || s.computed.work == 0 {
		return 1
	}
	return max(s.computed.seconds/s.computed.work/max(s.local.value, tiny), 1)
}

// await returns when something in flight has ended, or ctx has.
func (s *Split) await() {
	slice := spinSlice
	if s.busy() > 1 {
		slice = 2 * time.Microsecond
	}
	tired := s.now() + max(s.lease.want.hot().Seconds(), 0)
	if s.lease.want.HotTimeout == AlwaysHot {
		tired = s.now() + 1e9
	}
	last := s.now()
	for {
		var oldest *crew
		for i := range s.crews {
			c := &s.crews[i]
			if len(c.sent) == 0 {
				continue
			}
			if c.sent[0].future.poll(slice) {
				c.looked = s.now() // it has come while we looked
				return
			}
			c.looked = s.now()
			if oldest == nil || c.until < oldest.until {
				oldest = c
			}
		}
		if hasEnded(s.ctx) {
			return
		}
		last = s.look(last, hiccup)
		s.callBack(last)
		if oldest.looked > tired {
			ctx, cancel := context.WithTimeout(s.ctx, leastPatience/4)
			oldest.sent[0].future.doze(ctx)
			cancel()
			s.look(last, hiccup+leastPatience.Seconds()/4)
			return
		}
	}
}

// look returns the time, and notes if the caller comes later than it meant to since the last time: then it has stood
// still, and with a machine that is stopped, or has too much to do, executors may have as well.
func (s *Split) look(last, most float64) float64 {
	now := s.now()
	if now-last > most {
		s.resumed = now
	}
	return now
}

// busy is how many executors have something to do.
func (s *Split) busy() (n int) {
	for i := range s.crews {
		if len(s.crews[i].sent) > 0 {
			n++
		}
	}
	return n
}
