package offload

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// residents is a Split with Plan.Resident of executors that nobody sends anything.
func residents(t *rapid.T, executors int) *Split {
	lease := &Lease{}
	for i := range executors {
		lease.executors = append(lease.executors, &Executor{lease: lease, index: i})
	}
	s, err := (*Session)(nil).Split(t.Context(), Plan{Items: rapid.IntRange(1, 2000).Draw(t, "items"), Grain: rapid.IntRange(0, 4).Draw(t, "grain"), Share: Auto, Resident: true, Lease: lease})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Wherever boundaries move: each item is in one part, each part in a piece whose number no other has, of few pieces, and
// what everybody has is not brought again.
func TestResidentParts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		executors := rapid.IntRange(1, 4).Draw(t, "executors")
		s := residents(t, executors)
		pieces := map[int]Span{}
		for range 10 {
			s.mode = rapid.SampledFrom([]mode{together, together, alone, tentative}).Draw(t, "mode")
			s.stepWork = float64(s.plan.Items)
			for i := range s.crews {
				s.crews[i].queue = s.crews[i].queue[:0]
			}
			s.assign(s.plan.Items)
			done := make([]int, s.plan.Items)
			mark := func(lo, hi int) {
				for i := lo; i < hi; i++ {
					done[i]++
				}
			}
			for _, span := range s.ownSpans {
				mark(span.Lo, span.Hi)
			}
			for i := range s.crews {
				if len(s.crews[i].queue) > maxPieces {
					t.Fatalf("executor %d has %d pieces", i, len(s.crews[i].queue))
				}
				for _, part := range s.crews[i].queue {
					mark(part.Lo, part.Hi)
					if known, ok := pieces[part.Index]; ok && known != part.Piece {
						t.Fatalf("piece %d was %v and is %v", part.Index, known, part.Piece)
					}
					pieces[part.Index] = part.Piece
					if part.Lo < part.Piece.Lo || part.Hi > part.Piece.Hi || part.Lo >= part.Hi {
						t.Fatalf("%+v", part)
					}
				}
			}
			if i := slices.IndexFunc(done, func(n int) bool { return n != 1 }); i >= 0 {
				t.Fatalf("item %d is in %d parts", i, done[i])
			}
			s.local.add(1)
			if cost := s.bringing(s.current); s.mode == together && cost != 0 {
				t.Fatalf("what everybody has costs %g s", cost)
			}
			ideal := s.scale.divide(s.plan.Items, drawSharesOf(t, executors+1))
			near := s.within(ideal)
			if !slices.IsSorted(near) || near[len(near)-1] != s.plan.Items || near[0] < 0 {
				t.Fatalf("near %v: %v", ideal, near)
			}
			s.current = ideal
			if rapid.Bool().Draw(t, "near") {
				s.current = near
			}
		}
	})
}

func drawSharesOf(t *rapid.T, n int) []float64 {
	shares := rapid.SliceOfN(rapid.Float64Range(0.01, 1), n, n).Draw(t, "shares")
	sum := 0.0
	for _, share := range shares {
		sum += share
	}
	for i := range shares {
		shares[i] /= sum
	}
	return shares
}
