package stats_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/sublet-hpc/sublet/bench/stats"
)

// Ranks as tables of the sign test have them: from the k-th smallest to the k-th largest.
func TestMedian95(t *testing.T) {
	for n, k := range map[int]int{6: 1, 8: 1, 9: 2, 12: 3, 20: 6, 25: 8, 40: 14, 100: 40, 1000: 469} {
		sorted := make([]int64, n)
		for i := range sorted {
			sorted[i] = int64(i + 1)
		}
		got, ok := stats.Median95(sorted)
		if want := [2]int64{int64(k), int64(n - k + 1)}; !ok || got != want {
			t.Errorf("of %d: %v, want %v", n, got, want)
		}
	}
	for n := range stats.MinForMedian {
		if _, ok := stats.Median95(make([]int64, n)); ok {
			t.Errorf("%d samples have an interval", n)
		}
	}
}

// The interval holds what it promises, for a distribution with a long tail.
func TestMedian95Covers(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	const runs, median = 4000, 0.6931471805599453
	covered := 0
	for range runs {
		samples := make([]float64, 41)
		for i := range samples {
			samples[i] = random.ExpFloat64()
		}
		slices.Sort(samples)
		if interval, _ := stats.Median95(samples); interval[0] <= median && median <= interval[1] {
			covered++
		}
	}
	// With 41 samples 95 % are at least promised, 97.2 % are had: six standard deviations are 1.6 %.
	if covered < runs*956/1000 || covered > runs*988/1000 {
		t.Errorf("%d of %d intervals have the median", covered, runs)
	}
}

func TestQuantileIsASample(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		samples := rapid.SliceOfN(rapid.Int64Range(0, 1000), 1, 200).Draw(t, "samples")
		p := rapid.Float64Range(0, 1).Draw(t, "p")
		slices.Sort(samples)
		q := stats.Quantile(samples, p)
		below := 0
		for _, s := range samples {
			if s < q {
				below++
			}
		}
		if !slices.Contains(samples, q) || float64(below) > p*float64(len(samples)) {
			t.Fatalf("quantile %v of %v is %d", p, samples, q)
		}
	})
}

func TestSummaryLeavesOutWhatIsNotKnown(t *testing.T) {
	for _, c := range []struct {
		n              int
		ci, p99, p999  bool
		median, lowest int64
	}{
		{1, false, false, false, 1, 1},
		{6, true, false, false, 3, 1},
		{999, true, false, false, 500, 1},
		{1000, true, true, false, 500, 1},
		{10000, true, true, true, 5000, 1},
	} {
		samples := make([]int64, c.n)
		for i := range samples {
			samples[i] = int64(c.n - i)
		}
		s := stats.Summarize(samples)
		if s.N != c.n || s.Min != c.lowest || s.P50 != c.median || (s.CI95 != nil) != c.ci || (s.P99 != nil) != c.p99 || (s.P999 != nil) != c.p999 {
			t.Errorf("of %d: %+v", c.n, s)
		}
	}
}

// What slows both of a pair cancels out.
func TestPaired(t *testing.T) {
	var a, b []float64
	for i := range 12 {
		slow := float64(1 + i%3*7)
		a, b = append(a, 3*slow), append(b, 2*slow)
	}
	r, ok := stats.Paired(a, append(b, 1))
	if !ok || r.N != 12 || r.P50 != 1.5 || r.CI95 == nil || *r.CI95 != [2]float64{1.5, 1.5} {
		t.Errorf("%+v", r)
	}
	if r, ok := stats.Paired(a[:5], b); !ok || r.CI95 != nil {
		t.Errorf("5 pairs: %+v", r)
	}
	if _, ok := stats.Paired(nil, b); ok {
		t.Error("no pairs have a ratio")
	}
}
