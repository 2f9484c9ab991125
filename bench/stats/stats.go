package stats

import (
	"cmp"
	"math"
	"slices"
)

// Confidence is that of the intervals.
const Confidence = 0.95

// Quantile is the smallest of the sorted values that a part p of them does not exceed. There is at
// least one value.
func Quantile[T cmp.Ordered](sorted []T, p float64) T {
	rank := int(math.Ceil(p * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// Median is Quantile of one half, where that is a sample, and else the mean of both in the middle.
func Median[T ~int64 | ~float64](sorted []T) T {
	n := len(sorted)
	if n%2 == 1 {
		return sorted[n/2]
	}
	return sorted[n/2-1] + (sorted[n/2]-sorted[n/2-1])/2
}

// MinForMedian is the fewest samples that have a 95 % interval of the median: with 5, the median
// lies outside of all of them in 2 of 32 cases.
const MinForMedian = 6

// Median95 is an interval that has the true median in at least 95 % of all measurements: from the
// k-th smallest to the k-th largest sample, for the largest k for which that holds. The number of
// samples below the median is binomial, whatever the distribution.
func Median95[T cmp.Ordered](sorted []T) (interval [2]T, ok bool) {
	n := len(sorted)
	if n < MinForMedian {
		return interval, false
	}
	k := rankBelow(n)
	return [2]T{sorted[k-1], sorted[n-k]}, true
}

// rankBelow is the largest k with P(B < k) <= 2.5 %, for B binomial of n tosses of a coin; at least 1
// if n is at least MinForMedian.
func rankBelow(n int) int {
	tail := (1 - Confidence) / 2
	sum := 0.0
	logOfHalf := float64(n) * math.Ln2
	whole, _ := math.Lgamma(float64(n + 1))
	for k := 0; ; k++ {
		a, _ := math.Lgamma(float64(k + 1))
		b, _ := math.Lgamma(float64(n - k + 1))
		sum += math.Exp(whole - a - b - logOfHalf)
		if sum > tail {
			return k
		}
	}
}

// Enough tells whether ten samples lie beyond a quantile: with fewer, one or two accidents decide.
func Enough(n int, p float64) bool { return float64(n)*(1-p) >= 10-1e-9 }

// Summary is what a table shows of samples.
type Summary struct {
	N        int
	Min, P50 int64
	CI95     *[2]int64 // of the median; nil: too few samples
	P99      *int64    // nil: too few samples
	P999     *int64
}

// Summarize sorts samples.
func Summarize(samples []int64) Summary {
	slices.Sort(samples)
	s := Summary{N: len(samples), Min: samples[0], P50: Median(samples)}
	if interval, ok := Median95(samples); ok {
		s.CI95 = &interval
	}
	if Enough(len(samples), 0.99) {
		value := Quantile(samples, 0.99)
		s.P99 = &value
	}
	if Enough(len(samples), 0.999) {
		value := Quantile(samples, 0.999)
		s.P999 = &value
	}
	return s
}

// Ratio is the median of paired ratios, or the ratio of quantiles.
type Ratio struct {
	N    int
	P50  float64
	CI95 *[2]float64 // nil: too few pairs
}

// Paired is the median of a[i]/b[i], for as many as there are of both. Pairs were measured one right
// after the other, so that what disturbs both at once cancels out.
func Paired(a, b []float64) (Ratio, bool) {
	var ratios []float64
	for i := range min(len(a), len(b)) {
		if b[i] > 0 {
			ratios = append(ratios, a[i]/b[i])
		}
	}
	if len(ratios) == 0 {
		return Ratio{}, false
	}
	slices.Sort(ratios)
	r := Ratio{N: len(ratios), P50: Median(ratios)}
	if interval, ok := Median95(ratios); ok {
		r.CI95 = &interval
	}
	return r, true
}
