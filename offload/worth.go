package offload

import "slices"

// worth judges whether offloading pays, by what steps take and would have taken without executors:
//
//	on ── steps took longer than without, or nobody was given anything ──▶ off ── after a while ──▶ tried with little
//	▲                                                                       ▲                            │
//	└──────────────── by what was seen it would pay ────────────────────────┴── it would not ◀───────────┘
type worth struct {
	alone smooth // seconds of the caller for each unit of work while executors do nothing

	ratios  [window]float64 // what the last steps took, by what they would have taken
	steps   int             // since it was on
	off     bool
	rest    int // steps until it is tried again
	pause   int // the next rest
	until   int // steps until the caller's speed alone is measured again
	between int // the next of that
}

const (
	// judged is how many steps it takes to be judged by their median, and window by their mean: what disturbs one step says
	// nothing of the next.
	judged, window = 5, 16
	// firstPause and lastPause are after how many steps it is tried again, at first and at last.
	firstPause, lastPause = 32, 1024
	// worthwhile is by which part of a step it should gain to be turned on again.
	worthwhile = 0.03
	// aloneMost is the most steps between two that measure the caller alone.
	aloneMost = 64
)

// judge notes a step with executors, and tells whether it turns offloading off.
func (w *worth) judge(work, seconds float64, idle bool) bool {
	would := w.alone.value * work
	if w.alone.count == 0 || !(would > 0) {
		return false
	}
	w.ratios[w.steps%window] = min(seconds/would, 2)
	w.steps++
	if w.steps > 4*lastPause {
		w.pause = 0
	}
	if w.steps < judged || w.ratio() <= 1 && !idle {
		return false
	}
	w.stop()
	return true
}

// ratio is what steps take by what they would take: the median, or the mean if there are enough of them.
func (w *worth) ratio() float64 {
	sorted := w.ratios
	seen := sorted[:min(w.steps, window)]
	slices.Sort(seen)
	ratio := seen[len(seen)/2]
	if len(seen) < window {
		return ratio
	}
	sum := 0.0
	for _, each := range seen {
		sum += each
	}
	return max(ratio, sum/window)
}

func (w *worth) stop() {
	w.off = true
	w.pause = min(max(2*w.pause, firstPause), lastPause)
	w.rest = w.pause
}

// trial tells, while it is off, whether this step is one to try with.
func (w *worth) trial() bool {
	w.rest--
	return w.rest < 0
}

// tried notes what a step would take by all that is known after a trial.
func (w *worth) tried(work, predicted float64) {
	if would := w.alone.value * work; w.alone.count > 0 && predicted > (1-worthwhile)*would {
		w.stop()
		return
	}
	w.off, w.steps = false, 0
}

// measuresAlone tells whether the caller is to be measured alone in this step: often at first.
func (w *worth) measuresAlone() bool {
	w.until--
	if w.until >= 0 && w.alone.count > 0 {
		return false
	}
	w.between = min(2*w.between+1, aloneMost)
	w.until = w.between
	return true
}

// paysLease tells whether a lease that costs so many seconds is asked for: as soon as the work that was done here, and
// what is known to come, have taken longer. So a program that ends just then has lost no more than it has spent.
func paysLease(spent, toCome, cost float64) bool { return spent+toCome > cost }
