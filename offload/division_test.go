package offload

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// drawScale draws items, at times with weights and a grain.
func drawScale(t *rapid.T) scale {
	items := rapid.IntRange(0, 300).Draw(t, "items")
	var weights []int
	if rapid.Bool().Draw(t, "weighted") {
		weights = rapid.SliceOfN(rapid.IntRange(0, 30), items, items).Draw(t, "weights")
	}
	return newScale(items, rapid.IntRange(0, 7).Draw(t, "grain"), weights)
}

// drawShares draws shares that sum to 1.
func drawShares(t *rapid.T) []float64 {
	shares := rapid.SliceOfN(rapid.Float64Range(0, 1), 1, 9).Draw(t, "shares")
	sum := 0.0
	for _, share := range shares {
		sum += share
	}
	for i := range shares {
		if sum == 0 {
			shares[i] = 1 / float64(len(shares))
		} else {
			shares[i] /= sum
		}
	}
	return shares
}

// Nothing is forgotten or given twice, boundaries are where they may be, and nobody's work is off by more than what can
// not be divided.
func TestDivide(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, shares := drawScale(t), drawShares(t)
		bounds := s.divide(s.items, shares)
		if len(bounds) != len(shares) || !slices.IsSorted(bounds) || bounds[0] < 0 || bounds[len(bounds)-1] != s.items {
			t.Fatalf("%v", bounds)
		}
		heaviest := 0.0
		for lo := 0; lo < s.items; lo += s.grain {
			heaviest = max(heaviest, s.work(lo, min(lo+s.grain, s.items)))
		}
		sum := 0.0
		for i, at := range bounds {
			if at%s.grain != 0 && at != s.items {
				t.Fatalf("boundary %d is no multiple of %d", at, s.grain)
			}
			sum += shares[i]
			if off := math.Abs(s.work(0, at) - sum*s.work(0, s.items)); off > heaviest/2+1e-6 {
				t.Fatalf("boundary %d of %v is off by %g, the heaviest grain is %g", i, bounds, off, heaviest)
			}
		}
	})
}
