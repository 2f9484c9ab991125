package shares

import (
	"math"
	"testing"
	"time"

	"github.com/sublet-hpc/sublet/internal/endurance"
	"github.com/sublet-hpc/sublet/offload"
)

// In its fifth step auto offloads what is best, within 5 % of the options, of what a search among fixed shares finds.
func TestEnduranceSharesFound(t *testing.T) {
	for _, c := range []struct {
		name   string
		what   string
		hinder func(t *testing.T, pid int) error
	}{
		{name: "equal", what: "an executor like the caller"},
		{name: "stopped", what: "an executor stopped for 1.5 of each 2 ms", hinder: stopThreeQuarters},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := here(t)
			l := lease(t, s)
			b := newBook(t, s, endurance.Count(100_000, 10_000_000))
			if c.hinder != nil {
				check(t, c.hinder(t, l.Executors()[0].PID()))
			}
			host := endurance.WatchHost()
			coarse := best(t, s, l, b, 0.5, 0.1, endurance.Count(2, 4))
			fine := best(t, s, l, b, coarse.split.Report().Share, 0.02, endurance.Count(2, 10))

			var found []float64
			var took []time.Duration
			for range endurance.Count(2, 15) {
				auto := newWay(t, s, l, b, offload.Auto)
				for range 4 {
					fine.times = append(fine.times, fine.step(t, b))
					auto.step(t, b)
				}
				took = append(took, auto.step(t, b))
				found = append(found, auto.split.Report().Share)
				auto.checked(t, b)
			}
			wanted, got := fine.split.Report().Share, median(found)
			endurance.Report(t, "%s: the best of fixed shares is %.1f %%, %s ms the step; auto offloads %.1f %% in its fifth step, which takes %s ms; medians of %d",
				c.what, 100*wanted, inMilliseconds(fine.median()), 100*got, inMilliseconds(median(took)), len(found))
			// Where the search was disturbed, its step is not the shortest.
			slower := median(took).Seconds()/fine.median().Seconds() - 1
			if off := math.Abs(got - wanted); off > 0.05 && slower > 0.05+host.Noise() {
				t.Errorf("auto offloads %.1f %% in its fifth step, and %.1f %% is best", 100*got, 100*wanted)
			}
		})
	}
}

// best is the fixed share with which steps are the shortest, of nine about a middle that are so far from each other.
func best(t *testing.T, s *offload.Session, l *offload.Lease, b *book, middle, apart float64, rounds int) *way {
	t.Helper()
	var ways []*way
	for i := -4; i <= 4; i++ {
		if share := middle + float64(i)*apart; share >= 0 && share <= 1 {
			ways = append(ways, newWay(t, s, l, b, share))
		}
	}
	for range rounds {
		for _, w := range ways {
			w.times = append(w.times, w.step(t, b))
		}
	}
	fastest := ways[0]
	for _, w := range ways {
		if w.median() < fastest.median() {
			fastest = w
		}
	}
	return fastest
}
