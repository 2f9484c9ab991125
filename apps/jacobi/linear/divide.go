package linear

import (
	"math"
	"sort"

	"github.com/sublet-hpc/sublet/apps/internal/matrixmarket"
)

// Divide divides n items of equal weight among parts: contiguous, in order, and no part gets more
// than one item more than another. Of the parts+1 boundaries the first is 0 and the last n.
func Divide(n, parts int) []int {
	bounds := make([]int, parts+1)
	small, larger := n/parts, n%parts
	for p := range parts {
		bounds[p+1] = (p+1)*small + min(p+1, larger)
	}
	return bounds
}

// Share divides items of different weights between their owner and executors: of the boundaries
// the first is where the owner's items end, which have about the weight that share (0 to 1) leaves,
// and executor k gets the items from boundary k up to boundary k+1, each about as much.
func Share(weights []int, executors int, share float64) []int {
	sums := make([]int, len(weights)+1)
	for i, weight := range weights {
		sums[i+1] = sums[i] + weight
	}
	total := sums[len(weights)]
	target := int(math.Round((1 - share) * float64(total)))
	own := min(sort.SearchInts(sums, target), len(weights))
	if own > 0 && target-sums[own-1] < sums[own]-target {
		own--
	}
	bounds := matrixmarket.Balance(weights[own:], executors)
	for k := range bounds {
		bounds[k] += own
	}
	return bounds
}
