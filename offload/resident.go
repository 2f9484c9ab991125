package offload

import (
	"math"
	"slices"
)

// Where executors have something of their items, each has one span of them, and boundaries move between steps only:
//
//	first division ── measured ──▶ moved, if what the steps to come win by it is more than it costs
//	                                 ▲  │ measured again
//	                                 └──┘
//
// What an executor has once got it keeps: going back costs nothing. So boundaries go first to where they can without
// sending anything.

// piece is items that came to an executor together.
type piece struct {
	span  Span
	index int
	sent  bool
}

const (
	// maxPieces is of how many pieces an executor's part may be; with more it gets all of it anew as one.
	maxPieces = 4
	// cautious is by which part of an equal share executors begin, of which nothing is known.
	cautious = 0.25
	// hesitation is the part of a step that moving boundaries has to win at least.
	hesitation = 0.02
	// trialPart is the part of the work by which an executor is tried.
	trialPart = 1.0 / 64
	// unhurried is after how many steps boundaries are reconsidered now and then only, and every how many steps.
	unhurried, unhurriedSteps = 16, 8
)

// division is where the parts of a step with so many items begin and end: the caller's at the first boundary, the
// executors' from there on.
func (s *Split) division(items int) []int {
	if s.plan.Resident && s.current != nil {
		for i, at := range s.current {
			s.limits[i] = min(at, items)
		}
		return s.limits
	}
	remote := s.plan.Share
	switch {
	case len(s.crews) == 0:
		remote = 0
	case remote == Auto:
		remote = cautious * float64(len(s.crews)) / float64(1+len(s.crews))
	}
	s.shares[0] = 1 - remote
	for i := range s.crews {
		s.shares[1+i] = remote / float64(len(s.crews))
	}
	if !s.plan.Resident {
		return s.scale.divideInto(s.limits, items, s.shares)
	}
	if len(s.crews) > 0 || s.plan.Share != Auto {
		s.current = s.scale.divide(s.plan.Items, s.shares)
		s.held = make([][]piece, len(s.crews))
		return s.division(items)
	}
	s.limits[0] = items
	return s.limits
}

// assign gives everybody its part of a step at once.
func (s *Split) assign(items int) {
	bounds := s.division(items)
	s.ownSpans = s.ownSpans[:0]
	own := Span{0, bounds[0]}
	if s.mode == alone || s.mode == tentative {
		own.Hi = items
	}
	if own.Len() > 0 {
		s.ownSpans = append(s.ownSpans, own)
	}
	for i := range s.crews {
		c := &s.crews[i]
		switch {
		case s.mode == tentative:
			s.try(i)
		case s.mode != together:
		case bounds[i] < bounds[i+1]:
			c.queue = s.partsOf(i, Span{bounds[i], bounds[i+1]}, c.queue)
		case s.plan.Share == Auto && c.executor.usable() != nil && c.isTried():
			c.tried = true
			s.try(i)
		}
	}
}

// try gives an executor a little of the caller's own items, to see how fast it is: such that it has.
func (s *Split) try(i int) {
	if !s.plan.Resident {
		return
	}
	for _, p := range s.held[i] {
		for k, span := range s.ownSpans {
			lo, hi := max(p.span.Lo, span.Lo), min(p.span.Hi, span.Hi)
			if lo >= hi {
				continue
			}
			at := s.scale.cut(lo, hi, trialPart*s.stepWork)
			if at == lo {
				at = s.scale.next(lo, hi)
			}
			s.crews[i].queue = s.partsOf(i, Span{lo, at}, s.crews[i].queue)
			s.ownSpans = slices.Replace(s.ownSpans, k, k+1, Span{span.Lo, lo}, Span{at, span.Hi})
			s.ownSpans = slices.DeleteFunc(s.ownSpans, func(rest Span) bool { return rest.Len() == 0 })
			return
		}
	}
}

// partsOf are the parts that an executor's span is sent in: one, or with Plan.Resident one for each piece, of which some
// may be new.
func (s *Split) partsOf(i int, span Span, parts []Part) []Part {
	if !s.plan.Resident {
		s.index++
		return append(parts, Part{Lo: span.Lo, Hi: span.Hi, Executor: s.crews[i].executor, Index: s.index - 1, Piece: span})
	}
	if len(s.held[i]) > 0 && s.pieces(i, span) > maxPieces {
		s.held[i] = nil
	}
	for at := span.Lo; at < span.Hi; {
		p := s.pieceAt(i, at, span.Hi)
		part := Part{Lo: at, Hi: min(p.span.Hi, span.Hi), Executor: s.crews[i].executor, Index: p.index, Piece: p.span}
		parts = append(parts, part)
		at = part.Hi
	}
	return parts
}

// pieceAt is the piece of an executor that has an item, or a new one with it and those up to hi that it has not got.
func (s *Split) pieceAt(i, at, hi int) piece {
	p, ok := s.find(i, at, hi)
	if ok {
		return p
	}
	p.index = s.made
	s.made++
	s.held[i] = append(s.held[i], p)
	if s.steps > 0 {
		s.moved += int64(p.span.Len())
	}
	return p
}

// find is the piece of an executor that has an item; else what a new one would be, up to hi.
func (s *Split) find(i, at, hi int) (p piece, ok bool) {
	for _, p := range s.held[i] {
		if p.span.Lo <= at && at < p.span.Hi {
			return p, true
		}
		if at < p.span.Lo {
			hi = min(hi, p.span.Lo)
		}
	}
	return piece{span: Span{at, hi}}, false
}

// pieces is in how many of them a span would be.
func (s *Split) pieces(i int, span Span) (n int) {
	for at := span.Lo; at < span.Hi; n++ {
		p, _ := s.find(i, at, span.Hi)
		at = p.span.Hi
	}
	return n
}

// isFresh tells whether the piece of a part goes to its executor for the first time, and notes that it does.
func (s *Split) isFresh(part Part) bool {
	if !s.plan.Resident {
		return false
	}
	held := s.held[part.Executor.index]
	for i := range held {
		if held[i].index == part.Index {
			fresh := !held[i].sent
			held[i].sent = true
			return fresh
		}
	}
	return false
}

// reconsider moves the boundaries if that is worth it.
func (s *Split) reconsider() {
	if s.current == nil {
		return
	}
	gone := s.missing()
	if s.worth.off || !gone && s.steps > unhurried && s.steps%unhurriedSteps != 0 {
		return
	}
	workers := s.dealer.workers
	workers[0] = worker{rate: s.pace()}
	for i := range s.crews {
		c := &s.crews[i]
		if s.current[i] < s.current[i+1] && !c.gone && !c.pace.known() {
			return // it is about to be replaced, or to be measured
		}
		workers[1+i] = worker{delay: c.pace.delay(), out: c.executor.usable() == nil || !c.pace.known()}
		if c.pace.known() {
			workers[1+i].rate = 1 / max(c.pace.cost.value, tiny)
		}
	}
	if workers[0].rate == 0 {
		workers[0].rate = fastest(workers) // it had nothing to do so far
	}
	share(workers, s.scale.work(0, s.plan.Items), s.shares)
	ideal := s.scale.divide(s.plan.Items, s.shares)
	near := s.within(ideal)
	now := s.makespan(s.current)
	best, won := s.current, 0.0
	for _, bounds := range [][]int{near, ideal} {
		then := s.makespan(bounds)
		total := (now-then)*s.toBeDone() - s.bringing(bounds)
		if then < (1-hesitation)*now && total > won { // now is without an end if somebody has gone
			best, won = bounds, total
		}
	}
	s.current = best
}

// missing notes which executors are not there after a step, and tells whether one that has items has gone: others do its
// part in each step, and it is not replaced, or not soon.
func (s *Split) missing() (gone bool) {
	for i := range s.crews {
		c := &s.crews[i]
		switch {
		case c.executor.usable() != nil:
			c.away = 0
		case c.away == 0:
			c.away = s.now()
		}
		c.gone = c.away > 0 && (!c.executor.isComing() || s.now()-c.away > leastPatience.Seconds())
		gone = gone || c.gone && s.current[i] < s.current[i+1]
	}
	return gone
}

func fastest(workers []worker) (rate float64) {
	for i := range workers {
		rate = max(rate, workers[i].rate)
	}
	return rate
}

// makespan is how many seconds a step takes with these boundaries.
func (s *Split) makespan(bounds []int) (seconds float64) {
	lo := 0
	for i, hi := range bounds {
		w := &s.dealer.workers[i]
		if work := s.scale.work(lo, hi); hi > lo {
			if w.out || w.rate == 0 {
				return math.Inf(1)
			}
			seconds = max(seconds, w.delay+work/w.rate)
		}
		lo = hi
	}
	return seconds
}

// within are the boundaries closest to others for which nothing has to be sent, or few.
func (s *Split) within(ideal []int) []int {
	near := slices.Clone(s.current)
	for i := range near[:len(near)-1] {
		switch at := ideal[i]; {
		case at < near[i]: // the executor behind it gets more
			lowest := near[i]
			for _, p := range s.held[i] {
				if p.span.Lo < lowest && near[i] <= p.span.Hi {
					lowest = p.span.Lo
				}
			}
			near[i] = max(at, lowest)
		case i == 0: // the caller gets more
			near[i] = at
		default:
			highest := near[i]
			for _, p := range s.held[i-1] {
				if p.span.Lo <= near[i] && p.span.Hi > highest {
					highest = p.span.Hi
				}
			}
			near[i] = min(at, highest)
		}
		if i > 0 {
			near[i] = max(near[i], near[i-1])
		}
	}
	for i := len(near) - 2; i >= 0; i-- {
		near[i] = min(near[i], near[i+1])
	}
	return near
}

// bringing is how many seconds it costs to bring executors what they have not got and need with these boundaries.
func (s *Split) bringing(bounds []int) float64 {
	price := s.price.value
	if s.price.count == 0 {
		price = 4 * s.local.value
	}
	work := 0.0
	for i := range s.crews {
		span := Span{bounds[i], bounds[i+1]}
		work += s.scale.work(span.Lo, span.Hi)
		if s.pieces(i, span) > maxPieces {
			continue // all of it
		}
		for _, p := range s.held[i] {
			if lo, hi := max(p.span.Lo, span.Lo), min(p.span.Hi, span.Hi); lo < hi {
				work -= s.scale.work(lo, hi)
			}
		}
	}
	return price * work
}

// toBeDone is how many steps are to come: as many as there were, if nobody knows.
func (s *Split) toBeDone() float64 {
	if s.plan.Steps > 0 {
		return float64(max(s.plan.Steps-s.steps, 0))
	}
	return float64(max(s.steps, judged))
}
