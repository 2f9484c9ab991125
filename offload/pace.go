package offload

import "math"

// pace is how fast an executor is, by what was seen of it: a part of work w that is sent to it alone is answered after
// latency + w·cost or so; of many that follow one another, each takes w·max(cost, move).
//
// When an answer came is known between two looks only, between which the caller computed. So what is learned of it is
// bounds: an estimate within them stays as it is.
type pace struct {
	cost    smooth  // seconds in the function for each unit of work
	move    float64 // seconds between the answers to parts in flight together, for each unit of work, if that is more
	latency float64 // seconds of an answer that the function is not to blame for
	late    smooth  // seconds by which the latest answer of a step came later than that
	met     bool    // latency has been seen
}

// likely is a latency in seconds for an executor of which nothing has been seen.
const likely = 10e-6

func (p *pace) known() bool { return p.cost.count > 0 }

// rate is work per second of an executor that always has something to do; 0: unknown.
func (p *pace) rate() float64 {
	if !p.known() {
		return 0
	}
	return 1 / max(p.cost.value, p.move, tiny)
}

// tiny keeps rates finite.
const tiny = 1e-15

// delay is the latency to reckon with, or what is likely.
func (p *pace) delay() float64 {
	if !p.met {
		return likely
	}
	return p.latency + p.late.value
}

// ran notes that the function took so long for a part.
func (p *pace) ran(work, seconds float64) {
	if work > 0 {
		p.cost.add(max(seconds, 0) / work)
	}
}

// answered notes when the answer came to a part that had been sent while nothing else was in flight: later than low and
// not later than high, in seconds of which the function is not to blame.
func (p *pace) answered(low, high float64) {
	low, high = max(low, 0), max(high, 0)
	if !p.met {
		p.met = true
		p.latency = min(max(likely, low), high)
		return
	}
	switch {
	case p.latency < low: // one late answer is no reason to believe that all will be
		p.latency = min((p.latency+low)/2, 2*p.latency+likely)
	case p.latency > high:
		p.latency = high + (p.latency-high)/4
	}
}

// followed notes that the answer to a part came between low and high seconds after the one before, with which it had been
// in flight.
func (p *pace) followed(work, low, high float64) {
	if !(work > 0) {
		return
	}
	each := max(p.cost.value, p.move)
	switch {
	case each < low/work:
		p.move = (each + min(low/work, 4*each)) / 2
	case p.move > high/work:
		p.move = (p.move + max(high, 0)/work) / 2
	}
}

// smooth is a value that is measured again and again, with noise: it goes half of the way to the median of the last three.
type smooth struct {
	last  [3]float64
	count int
	value float64
}

func (s *smooth) add(x float64) {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return
	}
	s.last[s.count%3] = x
	s.count++
	switch {
	case s.count == 1:
		s.value = x
		return
	case s.count >= 3:
		a, b, c := s.last[0], s.last[1], s.last[2]
		x = max(min(a, b), min(max(a, b), c))
	}
	s.value += (x - s.value) / 2
}
