package endurance

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

const (
	// busy is how many times as long as promised something may take where the machine may be busy, or where
	// its host gives it too little of its processors.
	busy = 10

	// taken is the part of the machine's time from which on its host counts as one that takes it away.
	taken = 0.02

	// enough is the part of the times that must have been the machine's own for them to be held to the bar alone.
	enough = 0.25
)

// Times are how long something took, each time, and whether the machine had its processors to itself: a virtual
// one's host may lend them to others, for minutes and by half, and what takes 8 ms takes 100 meanwhile.
type Times struct {
	took    []time.Duration
	robbed  []bool // by the host
	machine machine
}

// Watch returns no times yet, and watches from now on what the host takes.
func Watch() *Times {
	t := &Times{}
	t.machine.stolenSince()
	return t
}

// Add adds how long it took, and whether the host has taken a part since Watch, or since the time before was added.
func (t *Times) Add(took time.Duration) {
	t.took = append(t.took, took)
	t.robbed = append(t.robbed, t.machine.stolenSince() > taken)
}

// Len is how many there are.
func (t *Times) Len() int { return len(t.took) }

// Worst is the longest; 0 if there are none.
func (t *Times) Worst() time.Duration { return worst(t.took) }

// Median is the one in the middle; 0 if there are none.
func (t *Times) Median() time.Duration { return median(t.took) }

// String has the figures, to a tenth of a millisecond.
func (t *Times) String() string {
	text := figures(t.took)
	if own := t.own(); len(own) < len(t.took) {
		text += fmt.Sprintf("; the host took processors away during %d", len(t.took)-len(own))
		if len(own) > 0 {
			text += ", of the others " + figures(own)
		}
	}
	return text
}

// Within fails a test if one of the times is above the bar; one in fifty may take twice as long, since machines
// have moments of their own. Where the machine may be busy, and for the times of which the host took a part, the
// bar is ten times as high.
func (t *Times) Within(tb testing.TB, bar time.Duration) {
	tb.Helper()
	t.judge(tb, "the worst", bar, func(took []time.Duration, bar time.Duration) bool {
		above := 0
		for _, one := range took {
			if one > bar {
				above++
			}
		}
		return above <= len(took)/50 && worst(took) <= 2*bar
	})
}

// MedianWithin fails a test if half of the times are above the bar, which is as high as for Within.
func (t *Times) MedianWithin(tb testing.TB, bar time.Duration) {
	tb.Helper()
	t.judge(tb, "half", bar, func(took []time.Duration, bar time.Duration) bool { return median(took) <= bar })
}

// judge holds the times that were the machine's own to the bar, and all of them to ten times the bar.
func (t *Times) judge(tb testing.TB, which string, bar time.Duration, keeps func([]time.Duration, time.Duration) bool) {
	tb.Helper()
	if !keeps(t.took, busy*bar) {
		tb.Errorf("%s of all: %v, and may take %v on a busy machine", which, t, busy*bar)
	}
	if !InFull() || keeps(t.took, bar) {
		return
	}
	own := t.own()
	if float64(len(own)) < enough*float64(len(t.took)) {
		Report(tb, "NOT held to %v: the host took processors away nearly all the time", bar)
		return
	}
	if !keeps(own, bar) {
		tb.Errorf("%s: %v, and may take %v", which, t, bar)
	}
}

// own are the times during which the host left the machine its processors.
func (t *Times) own() []time.Duration {
	var own []time.Duration
	for i, took := range t.took {
		if !t.robbed[i] {
			own = append(own, took)
		}
	}
	return own
}

func worst(times []time.Duration) time.Duration {
	if len(times) == 0 {
		return 0
	}
	return slices.Max(times)
}

func median(times []time.Duration) time.Duration {
	if len(times) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(times))
	return sorted[len(sorted)/2]
}

func figures(times []time.Duration) string {
	const unit = 100 * time.Microsecond
	return fmt.Sprintf("median %v, worst %v of %d", median(times).Round(unit), worst(times).Round(unit), len(times))
}
