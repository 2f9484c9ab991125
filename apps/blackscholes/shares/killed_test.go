package shares

import (
	"syscall"
	"testing"
	"time"

	"github.com/sublet-hpc/sublet/internal/endurance"
	"github.com/sublet-hpc/sublet/offload"
)

// A run whose executor is killed half way is at most 2 s longer with auto than with the better of nothing and half offloaded, and all
// steps have the prices of the caller alone.
func TestEnduranceSharesKilled(t *testing.T) {
	s := here(t)
	b := newBook(t, s, endurance.Count(100_000, 10_000_000))
	const steps = 20
	shares := []float64{0, 0.5, offload.Auto}
	runs := make([]*endurance.Times, len(shares))
	afterwards := make([]float64, len(shares)) // what executors did of the last step
	for i := range shares {
		runs[i] = endurance.Watch()
	}
	for round := range endurance.Count(1, 5) {
		for i := range shares {
			way := (round + i) % len(shares)
			took, share := runWithKill(t, s, b, shares[way], steps)
			runs[way].Add(took)
			afterwards[way] = share
		}
	}
	better := min(runs[0].Median(), runs[1].Median())
	endurance.Report(t, "| %d times %d options, the executor killed half way | %s | %s | %s | %.0f %% | in ms, and what auto offloads in the end; medians of %d",
		steps, b.options, inMilliseconds(runs[0].Median()), inMilliseconds(runs[1].Median()), inMilliseconds(runs[2].Median()), 100*afterwards[2], runs[2].Len())
	runs[2].Within(t, better+2*time.Second)
}

// runWithKill prices all options some times with a lease of its own, and kills the executor half way, as soon as it is given a
// part, or if it is given none. It returns how long the steps took together, and what executors did of the last.
func runWithKill(t *testing.T, s *offload.Session, b *book, share float64, steps int) (took time.Duration, last float64) {
	t.Helper()
	l := lease(t, s)
	w := newWay(t, s, l, b, share)
	kill := func(e *offload.Executor) {
		b.sent = nil
		check(t, syscall.Kill(e.PID(), syscall.SIGKILL))
	}
	for step := range steps {
		if step == steps/2 {
			b.sent = func(p offload.Part) { kill(p.Executor) }
		}
		took += w.checked(t, b)
		if b.sent != nil {
			kill(l.Executors()[0])
		}
	}
	if share == 0.5 && l.Lost() == 0 {
		t.Errorf("%s: the executor was killed while it had a part, and none is lost", w.name)
	}
	last = w.split.Report().Share
	check(t, w.split.Close())
	check(t, l.Release())
	return took, last
}
