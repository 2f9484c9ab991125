package offload

import (
	"context"
	"fmt"
)

// SplitReduce is [Split.Step] for work that has one result of type T for each Plan.Grain items (the last one for what is
// left over), and combines the results, in the order of the items. Whoever computes which of them, the same values are
// combined in the same order, so the result is the same to the last bit where executors compute what the caller does.
//
// results has a value for each grain; a part's are those from part.Lo/Grain up to part.Hi/Grain, rounded up:
// [Split.Results] gives them for Remote. Without items it returns the zero T.
func SplitReduce[T any](ctx context.Context, split *Split, results *Buffer[T], work Work, combine func(a, b T) T) (T, error) {
	var sum T
	grains := split.grains(0, split.plan.Items).Hi
	if results.Len() < grains {
		return sum, fmt.Errorf("offload: a buffer of %d results for %d items, of which each %d have one; it needs %d values", results.Len(), split.plan.Items, split.scale.grain, grains)
	}
	if err := split.Step(ctx, work); err != nil {
		return sum, err
	}
	for i, result := range results.Slice()[:grains] {
		if i == 0 {
			sum = result
		} else {
			sum = combine(sum, result)
		}
	}
	return sum, nil
}

// Results are which of SplitReduce's results belong to the items from lo up to hi, a part's or Local's.
func (s *Split) Results(lo, hi int) Span { return s.grains(lo, hi) }

func (s *Split) grains(lo, hi int) Span {
	return Span{lo / s.scale.grain, (hi + s.scale.grain - 1) / s.scale.grain}
}
