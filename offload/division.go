package offload

import (
	"math"
	"sort"
)

// scale says how much work items are, and where they can be divided. All weights are 1 unless sums has others.
type scale struct {
	items int
	grain int
	sums  []float64 // of the weights of the items before each; nil: all weigh the same
}

func newScale(items, grain int, weights []int) scale {
	s := scale{items: items, grain: max(grain, 1)}
	if weights == nil {
		return s
	}
	s.sums = make([]float64, items+1)
	for i, weight := range weights {
		s.sums[i+1] = s.sums[i] + float64(weight)
	}
	if s.sums[items] == 0 { // as good as all the same
		s.sums = nil
	}
	return s
}

// work is that of the items from lo up to hi.
func (s *scale) work(lo, hi int) float64 {
	if s.sums == nil {
		return float64(hi - lo)
	}
	return s.sums[hi] - s.sums[lo]
}

// cut is the boundary between lo and hi, which are ones themselves, that comes closest to so much work after lo.
func (s *scale) cut(lo, hi int, work float64) int {
	if !(work > 0) || lo >= hi {
		return lo
	}
	if work >= s.work(lo, hi) {
		return hi
	}
	at := lo
	if s.sums == nil {
		at += int(math.Round(work))
	} else {
		at += sort.SearchFloat64s(s.sums[lo:hi+1], s.sums[lo]+work)
		if at > lo && s.sums[lo]+work-s.sums[at-1] < s.sums[at]-s.sums[lo]-work {
			at--
		}
	}
	below := max(at/s.grain*s.grain, lo)
	above := min(at/s.grain*s.grain+s.grain, hi)
	if s.work(lo, above)-work < work-s.work(lo, below) {
		return above
	}
	return below
}

// next is the first boundary after at, no later than hi.
func (s *scale) next(at, hi int) int { return min(at/s.grain*s.grain+s.grain, hi) }

// divide returns where the parts of all but the first begin, and where the last one ends, if each is to have its
// share of the items. Shares sum to 1.
func (s *scale) divide(items int, shares []float64) []int {
	return s.divideInto(make([]int, len(shares)), items, shares)
}

// divideInto is divide into memory that there is.
func (s *scale) divideInto(bounds []int, items int, shares []float64) []int {
	total, sum, last := s.work(0, items), 0.0, 0
	for i, share := range shares {
		sum += share
		at := items
		if i < len(shares)-1 {
			at = s.cut(0, items, sum*total)
		}
		last = max(at, last)
		bounds[i] = last
	}
	return bounds
}
