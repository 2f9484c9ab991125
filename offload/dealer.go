package offload

import "math"

// dealer deals the items of one step out, in parts that become smaller towards its end. It knows no clock and no executor.
//
// Everybody has a span of items, in proportion to what it will do by what is known, and gets parts from its beginning;
// whoever has come to the end of its own goes on with the end of the one that would be done last. So in steps that are
// alike everybody has the same items, which its caches and page tables know.
type dealer struct {
	scale   *scale
	workers []worker // the first is the caller
	work    float64  // nobody has been given yet
	items   int      // the same
	total   float64  // work of the step
	lost    []Span   // of items that were given and have to be given again
	// expecting: somebody may join, for whom the caller looks now and then.
	expecting bool
}

// worker is somebody who does items.
type worker struct {
	span    Span    // nobody has been given yet, and is to be its own
	rate    float64 // work per second; 0: unknown
	delay   float64 // seconds from now until it can begin with what it is given
	latency float64 // seconds that it needs besides for what it is given alone
	out     bool    // gets nothing more
}

const (
	// crumb is seconds: smaller parts cost more than they balance.
	crumb = 100e-6
	// glance is the longest part, in seconds, that the caller computes while there is something to look for.
	glance = 5e-3
	// portions is into how many parts is divided what somebody has still to do.
	portions = 8
	// instant is seconds: nothing is sent to an executor that would only have so much to do.
	instant = 1e-6
)

// finish is after how many seconds all of them have done so much work, together; who can not begin by then does none.
func finish(workers []worker, work float64) float64 {
	for t := math.Inf(1); ; {
		rates, sum := 0.0, work
		for i := range workers {
			if w := &workers[i]; !w.out && w.rate > 0 && w.delay < t {
				rates += w.rate
				sum += w.rate * w.delay
			}
		}
		if next := sum / rates; rates > 0 && next < t {
			t = next
			continue
		}
		return t
	}
}

// share writes what part of the work each does if all are done at once. They sum to 1, if somebody does any.
func share(workers []worker, work float64, shares []float64) {
	t := finish(workers, work)
	sum := 0.0
	for i := range workers {
		shares[i] = 0
		if w := &workers[i]; !w.out && w.rate > 0 && w.delay < t && !math.IsInf(t, 1) {
			shares[i] = w.rate * (t - w.delay)
			sum += shares[i]
		}
	}
	for i := range shares {
		if sum > 0 {
			shares[i] /= sum
		} else if i == 0 {
			shares[i] = 1
		}
	}
}

// begin begins a step of so many items. The workers are filled in but for their spans; shares and bounds are memory.
func (d *dealer) begin(items int, shares []float64, bounds []int) {
	d.items, d.work, d.lost = items, d.scale.work(0, items), d.lost[:0]
	d.total = d.work
	share(d.workers, d.work, shares)
	bounds = d.scale.divideInto(bounds, items, shares)
	lo := 0
	for i := range d.workers {
		d.workers[i].span = Span{lo, bounds[i]}
		lo = bounds[i]
	}
}

// take gives a worker its next part; none: it gets nothing now.
func (d *dealer) take(p int) Span {
	w := &d.workers[p]
	if w.out || d.items == 0 {
		return Span{}
	}
	portion := d.portion(p)
	if !(portion > 0) && d.work > 0 {
		return Span{}
	}
	if w.span.Len() == 0 && !d.again(w) && !d.steal(p, portion) {
		return Span{}
	}
	at := d.scale.cut(w.span.Lo, w.span.Hi, portion)
	if at == w.span.Lo {
		at = d.scale.next(at, w.span.Hi)
	}
	part := Span{w.span.Lo, at}
	w.span.Lo = at
	d.items -= part.Len()
	d.work -= d.scale.work(part.Lo, part.Hi)
	return part
}

// again gives a worker items that were lost.
func (d *dealer) again(w *worker) bool {
	if len(d.lost) == 0 {
		return false
	}
	w.span = d.lost[len(d.lost)-1]
	d.lost = d.lost[:len(d.lost)-1]
	return true
}

// lose takes back items that were given.
func (d *dealer) lose(part Span) {
	d.lost = append(d.lost, part)
	d.items += part.Len()
	d.work += d.scale.work(part.Lo, part.Hi)
}

// portion is how much work a worker is to be given at once; 0: none.
func (d *dealer) portion(p int) float64 {
	w, caller := &d.workers[p], &d.workers[0]
	if p == 0 && d.alone() {
		switch {
		case !d.expecting:
			return math.Inf(1)
		case w.rate > 0:
			return glance * w.rate
		}
	}
	if w.rate == 0 { // little, to see how fast it is
		if caller.rate == 0 {
			return d.total / 64
		}
		return caller.rate * min(max(d.work/caller.rate/32, likely), 1e-3)
	}
	available := finish(d.workers, d.work) - w.delay
	if p > 0 && available < instant {
		return 0
	}
	parts := float64(portions)
	if p == 0 {
		parts *= 2 // while it computes it does not look
	}
	seconds := max(available/parts, crumb, 2*w.latency) // it goes on while an answer and the next part travel
	if available-seconds < crumb {
		seconds = available
	}
	if p == 0 {
		seconds = min(seconds, glance)
	}
	return max(seconds, instant) * w.rate
}

// alone tells whether the caller has nobody to look after.
func (d *dealer) alone() bool {
	for i := range d.workers[1:] {
		if !d.workers[1+i].out {
			return false
		}
	}
	return true
}

// steal gives a worker the end of the span that would be done last, so that both are done at once.
func (d *dealer) steal(p int, portion float64) bool {
	var victim *worker
	longest := 0.0
	for i := range d.workers {
		v := &d.workers[i]
		if i == p || v.span.Len() == 0 {
			continue
		}
		time := math.Inf(1)
		if !v.out && v.rate > 0 {
			time = v.delay + d.scale.work(v.span.Lo, v.span.Hi)/v.rate
		}
		if victim == nil || time > longest {
			victim, longest = v, time
		}
	}
	if victim == nil {
		return false
	}
	w := &d.workers[p]
	if math.IsInf(longest, 1) && w.rate > 0 || victim.out {
		w.span, victim.span = victim.span, Span{}
		return true
	}
	whole := d.scale.work(victim.span.Lo, victim.span.Hi)
	stolen := portion
	if w.rate > 0 {
		stolen = (longest - w.delay) / (1/w.rate + 1/victim.rate)
	}
	at := d.scale.cut(victim.span.Lo, victim.span.Hi, whole-stolen)
	if at >= victim.span.Hi {
		return false
	}
	w.span, victim.span = Span{at, victim.span.Hi}, Span{victim.span.Lo, at}
	return true
}

// retire gives a worker nothing more, and others what was to be its own.
func (d *dealer) retire(p int) { d.workers[p].out = true }
