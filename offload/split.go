package offload

import (
	"context"
	"fmt"
	"math"
	"slices"
)

// Part is the items from Lo up to Hi that one executor gets in each step.
type Part struct {
	Lo, Hi   int
	Executor *Executor
	// Index counts the parts, from 0: for the constants that belong to each.
	Index int
}

// Work is one step of a program's work on its items.
type Work struct {
	// Remote sends a part to its executor. It must not wait for the result, which must fill the
	// output: Step fails if it does not. It is called again, with another executor, for a part that was
	// lost.
	Remote func(ctx context.Context, part Part) Future
	// Local computes the items from lo up to hi here. It is also called for parts that were lost
	// and that no other executor takes.
	Local func(lo, hi int) error
}

// Split divides n items between the caller and the executors of a lease. A program written with it
// gives the right answer with any number of executors, including none, and including those that
// vanish half way.
//
// The first items are local, the last ones remote; executors get equal parts,
// or those that the caller chooses (NewSplitAt). A Split is used by
// one goroutine.
type Split struct {
	lease  *Lease
	local  int // items from 0 up to local are the caller's
	items  int
	parts  []Part
	redone int
}

// NewSplit gives the share (0 to 1) of n items to the executors of lease, rounded to whole items.
// With no lease (nil) everything is local. Executors for which there are no items get no part.
func NewSplit(lease *Lease, n int, share float64) *Split {
	s := &Split{lease: lease, items: n, local: n}
	if lease == nil || n <= 0 || !(share > 0) {
		return s
	}
	remote := int(math.Round(min(share, 1) * float64(n)))
	s.local = n - remote
	workers := min(len(lease.executors), remote)
	for i := range workers {
		lo, hi := s.local+remote*i/workers, s.local+remote*(i+1)/workers
		s.parts = append(s.parts, Part{Lo: lo, Hi: hi, Executor: lease.executors[i], Index: i})
	}
	return s
}

// NewSplitAt divides items where the caller says, for items that are not all the same work: those
// before bounds[0] are local, and executor k gets the ones from bounds[k] up to bounds[k+1]. There
// are as many items as the last boundary says. Executors without items get no part.
func NewSplitAt(lease *Lease, bounds []int) (*Split, error) {
	if len(bounds) == 0 || bounds[0] < 0 || !slices.IsSorted(bounds) {
		return nil, fmt.Errorf("offload: %v are no boundaries of items: at least one is needed, and they must ascend from 0", bounds)
	}
	if executors := len(lease.executors); len(bounds)-1 > executors {
		return nil, fmt.Errorf("offload: %d parts for %d executors", len(bounds)-1, executors)
	}
	s := &Split{lease: lease, items: bounds[len(bounds)-1], local: bounds[0]}
	for i, lo := range bounds[:len(bounds)-1] {
		if hi := bounds[i+1]; lo < hi {
			s.parts = append(s.parts, Part{Lo: lo, Hi: hi, Executor: lease.executors[i], Index: len(s.parts)})
		}
	}
	return s, nil
}

// Local is the range of the caller's own items.
func (s *Split) Local() (lo, hi int) { return 0, s.local }

// Parts are the executors' parts.
func (s *Split) Parts() []Part { return s.parts }

// Redone is how many times a part was computed once more, here or by another executor, because its
// executor was lost.
func (s *Split) Redone() int { return s.redone }
