package offload

// worth judges whether offloading pays, by what steps take and would have taken without executors:
//
//	on ── steps took longer than without, or nobody was given anything ──▶ off ── after a while ──▶ tried with little
//	▲                                                                       ▲                            │
//	└──────────────── by what was seen it would pay ────────────────────────┴── it would not ◀───────────┘
type worth struct {
	alone smooth // seconds of the caller for each unit of work while executors do nothing

	took, would float64 // seconds of the last steps, and what they would have taken; the older the less they count
	steps       int     // since it was on
	off         bool
	rest        int // steps until it is tried again
	pause       int // the next rest
	until       int // steps until the caller's speed alone is measured again
	between     int // the next of that
}

const (
	// judged is how many steps it takes to be judged.
	judged = 4
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
	w.steps++
	w.took = 0.9*w.took + min(seconds, 4*would) // what disturbs one step says nothing of the next
	w.would = 0.9*w.would + would
	if w.steps < judged || w.took <= w.would && !idle {
		if w.steps > 4*lastPause {
			w.pause = 0
		}
		return false
	}
	w.stop()
	return true
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
	w.off, w.steps, w.took, w.would = false, 0, 0, 0
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
