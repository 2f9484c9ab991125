package stats

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
)

// resamples are enough for the ends of a 95 % interval: 50 lie beyond each.
const resamples = 2000

// PairedQuantile is the ratio of a quantile of all of a's samples to that of all of b's. a and b are blocks,
// of which those with the same index were measured one right after the other. The interval comes from pairs
// of blocks drawn again and again, with replacement (a bootstrap): samples of a block share its disturbances,
// and a pair of blocks those of its second. It is always the same for the same samples. Not ok: there are
// too few samples for the quantile.
func PairedQuantile(a, b [][]int64, p float64) (r Ratio, ok bool) {
	n := min(len(a), len(b))
	above, below := newRanking(a[:n]), newRanking(b[:n])
	if !Enough(above.total, p) || !Enough(below.total, p) {
		return Ratio{}, false
	}
	once := slices.Repeat([]int{1}, n)
	r = Ratio{N: n, P50: above.quantile(p, once) / below.quantile(p, once)}
	if n < MinForMedian {
		return r, true
	}
	random := rand.New(rand.NewPCG(uint64(n), uint64(above.total)))
	ratios, weights := make([]float64, resamples), make([]int, n)
	for i := range ratios {
		clear(weights)
		for range n {
			weights[random.IntN(n)]++
		}
		ratios[i] = above.quantile(p, weights) / below.quantile(p, weights)
	}
	slices.Sort(ratios)
	tail := (1 - Confidence) / 2
	r.CI95 = &[2]float64{Quantile(ratios, tail), Quantile(ratios, 1-tail)}
	return r, true
}

// ranking has the samples of blocks, the largest first.
type ranking struct {
	samples []ranked
	sizes   []int // of blocks
	total   int
}

type ranked struct {
	value int64
	block int
}

func newRanking(blocks [][]int64) *ranking {
	r := &ranking{}
	for i, block := range blocks {
		for _, value := range block {
			r.samples = append(r.samples, ranked{value, i})
		}
		r.sizes = append(r.sizes, len(block))
	}
	r.total = len(r.samples)
	slices.SortFunc(r.samples, func(a, b ranked) int { return cmp.Compare(b.value, a.value) })
	return r
}

// quantile is that of the blocks, each taken so many times; at least 1, because it is divided by.
func (r *ranking) quantile(p float64, times []int) float64 {
	total := 0
	for i, n := range r.sizes {
		total += n * times[i]
	}
	beyond := total - int(math.Ceil(p*float64(total)))
	for _, s := range r.samples {
		if beyond -= times[s.block]; beyond < 0 {
			return math.Max(float64(s.value), 1)
		}
	}
	return 1 // nothing was drawn
}
