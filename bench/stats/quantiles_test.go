package stats_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/sublet-hpc/sublet/bench/stats"
)

func blocks(random *rand.Rand, n, each int, scale float64) [][]int64 {
	all := make([][]int64, n)
	for i := range all {
		for range each {
			all[i] = append(all[i], int64(1000*scale*random.ExpFloat64()))
		}
	}
	return all
}

// Without drawing anything it is the ratio of both quantiles.
func TestPairedQuantile(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	a, b := blocks(random, 20, 100, 3), blocks(random, 20, 100, 1)
	r, ok := stats.PairedQuantile(a, b, 0.99)
	sortedA, sortedB := slices.Sorted(slices.Values(slices.Concat(a...))), slices.Sorted(slices.Values(slices.Concat(b...)))
	want := float64(stats.Quantile(sortedA, 0.99)) / float64(stats.Quantile(sortedB, 0.99))
	if !ok || r.P50 != want || r.N != 20 || r.CI95 == nil || r.CI95[0] > want || r.CI95[1] < want {
		t.Errorf("%+v, want %v", r, want)
	}
	if again, _ := stats.PairedQuantile(a, b, 0.99); *again.CI95 != *r.CI95 {
		t.Errorf("%v, then %v", *r.CI95, *again.CI95)
	}
	if _, ok := stats.PairedQuantile(a[:9], b[:9], 0.99); ok {
		t.Error("900 samples have a 99th percentile")
	}
	if r, ok := stats.PairedQuantile([][]int64{slices.Concat(a...)}, [][]int64{slices.Concat(b...)}, 0.99); !ok || r.CI95 != nil {
		t.Errorf("of one pair of blocks: %v", r.CI95)
	}
	if r, ok := stats.PairedQuantile(zeros(20, 100), zeros(20, 100), 0.99); !ok || r.P50 != 1 {
		t.Errorf("of zeros: %+v", r)
	}
}

func zeros(n, each int) [][]int64 {
	all := make([][]int64, n)
	for i := range all {
		all[i] = make([]int64, each)
	}
	return all
}

// The interval has the true ratio about as often as it promises.
func TestPairedQuantileCovers(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	const runs = 150
	covered := 0
	for range runs {
		r, ok := stats.PairedQuantile(blocks(random, 40, 50, 2), blocks(random, 40, 50, 1), 0.99)
		if ok && r.CI95 != nil && r.CI95[0] <= 2 && 2 <= r.CI95[1] {
			covered++
		}
	}
	if covered < runs*86/100 { // five standard deviations below 95 %
		t.Errorf("%d of %d intervals have the ratio", covered, runs)
	}
}
