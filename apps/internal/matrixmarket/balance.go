package matrixmarket

import "sort"

// Balance divides items into parts of consecutive ones: the heaviest part is as light as it can be,
// and within that each boundary is near to where equal parts would have it. Of the parts+1
// boundaries that it returns the first is 0 and the last is len(weights); part k is the items from
// boundary k up to boundary k+1, and can be empty. Weights are not negative; parts is at least 1.
func Balance(weights []int, parts int) []int {
	sums := make([]int, len(weights)+1)
	for i, w := range weights {
		sums[i+1] = sums[i] + w
	}
	return balance(sums, parts)
}

// balance is Balance where sums[i] is the weight of the items before item i.
func balance(sums []int, parts int) []int {
	n := len(sums) - 1
	total := sums[n]
	limit := lightest(sums, parts)

	// earliest[k] is where part k may begin at the earliest, so that what follows still fits.
	earliest := make([]int, parts+1)
	earliest[parts] = n
	for k := parts - 1; k > 0; k-- {
		needed := sums[earliest[k+1]] - limit
		earliest[k] = sort.SearchInts(sums, needed)
	}

	bounds := make([]int, parts+1)
	bounds[parts] = n
	for k := 1; k < parts; k++ {
		target := total/parts*k + total%parts*k/parts
		at := nearest(sums, target)
		at = max(at, earliest[k], bounds[k-1])
		bounds[k] = min(at, furthest(sums, bounds[k-1], limit))
	}
	return bounds
}

// lightest is the least weight that the heaviest of the parts can have.
func lightest(sums []int, parts int) int {
	n := len(sums) - 1
	total, heaviest := sums[n], 0
	for i := range n {
		heaviest = max(heaviest, sums[i+1]-sums[i])
	}
	// No division is better than equal parts, or than the heaviest item; and filling one part after
	// the other needs no more than both together.
	least := max(heaviest, (total+parts-1)/parts)
	return least + sort.Search(heaviest, func(more int) bool {
		at := 0
		for range parts {
			at = furthest(sums, at, least+more)
		}
		return at == n
	})
}

// furthest is the last boundary of a part that begins at from and weighs at most limit.
func furthest(sums []int, from, limit int) int {
	return from + sort.Search(len(sums)-1-from, func(more int) bool {
		return sums[from+more+1]-sums[from] > limit
	})
}

// nearest is the boundary before which about target lies.
func nearest(sums []int, target int) int {
	at := sort.SearchInts(sums, target)
	if at > 0 && target-sums[at-1] < sums[at]-target {
		at--
	}
	return at
}
