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

// runWithKill prices all options some times with a lease of its own, and kills the executor half way while it has a part. It
// returns how long the steps took together, and what executors did of the last.
func runWithKill(t *testing.T, s *offload.Session, b *book, share float64, steps int) (took time.Duration, last float64) {
	t.Helper()
	l := lease(t, s)
	w := newWay(t, s, l, b, share)
	killed := 0
	for step := range steps {
		if step == steps/2 {
			b.sent = func(p offload.Part) {
				b.sent = nil
				killed++
				check(t, syscall.Kill(p.Executor.PID(), syscall.SIGKILL))
			}
		}
		took += w.checked(t, b)
	}
	b.sent = nil
	if lost := l.Lost(); lost != killed || share > 0 && killed == 0 {
		t.Errorf("%s: %d executors were killed and %d lost", w.name, killed, lost)
	}
	last = w.split.Report().Share
	check(t, w.split.Close())
	check(t, l.Release())
	return took, last
}
