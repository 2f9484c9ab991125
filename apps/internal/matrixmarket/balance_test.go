package matrixmarket

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// heaviest is the weight of the heaviest part.
func heaviest(weights, bounds []int) int {
	most := 0
	for k := range len(bounds) - 1 {
		part := 0
		for _, w := range weights[bounds[k]:bounds[k+1]] {
			part += w
		}
		most = max(most, part)
	}
	return most
}

// best is the weight of the heaviest part of the best division, found by trying all.
func best(weights []int, parts int) int {
	if parts == 1 {
		return heaviest(weights, []int{0, len(weights)})
	}
	least := -1
	first := 0
	for cut := 0; cut <= len(weights); cut++ {
		if rest := max(first, best(weights[cut:], parts-1)); least < 0 || rest < least {
			least = rest
		}
		if cut < len(weights) {
			first += weights[cut]
		}
	}
	return least
}

func TestNoDivisionIsBetterBalanced(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		weights := rapid.SliceOfN(rapid.IntRange(0, 20), 0, 9).Draw(t, "weights")
		parts := rapid.IntRange(1, 5).Draw(t, "parts")
		bounds := Balance(weights, parts)
		if len(bounds) != parts+1 || bounds[0] != 0 || bounds[parts] != len(weights) || !slices.IsSorted(bounds) {
			t.Fatalf("boundaries %d", bounds)
		}
		if got, want := heaviest(weights, bounds), best(weights, parts); got != want {
			t.Fatalf("boundaries %d: a part of %d, and %d can be had", bounds, got, want)
		}
	})
}

// Also where trying all would take too long.
func TestPartsAreNearlyEqual(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		weights := rapid.SliceOfN(rapid.IntRange(0, 1<<40), 1, 500).Draw(t, "weights")
		parts := rapid.IntRange(1, 600).Draw(t, "parts")
		bounds := Balance(weights, parts)
		if bounds[0] != 0 || bounds[parts] != len(weights) || !slices.IsSorted(bounds) {
			t.Fatalf("boundaries %d", bounds)
		}
		total := 0
		for _, w := range weights {
			total += w
		}
		if got, most := heaviest(weights, bounds), total/parts+slices.Max(weights); got > most {
			t.Fatalf("a part of %d, above %d", got, most)
		}
	})
}

func TestBalance(t *testing.T) {
	for _, test := range []struct {
		weights []int
		parts   int
		want    []int
	}{
		{[]int{1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, 4, []int{0, 2, 5, 7, 10}},
		{[]int{9, 1, 1, 1, 1, 1, 1, 1, 1, 1}, 2, []int{0, 1, 10}},
		{[]int{1, 1, 1, 9}, 3, []int{0, 3, 4, 4}},
		{[]int{5, 5}, 4, []int{0, 0, 1, 1, 2}},
		{[]int{0, 0, 0, 0}, 2, []int{0, 0, 4}},
		{nil, 3, []int{0, 0, 0, 0}},
	} {
		if diff := cmp.Diff(test.want, Balance(test.weights, test.parts)); diff != "" {
			t.Errorf("%d parts of %d (-want +got):\n%s", test.parts, test.weights, diff)
		}
	}
}

func TestMatricesAreBalancedByTheirEntries(t *testing.T) {
	// An arrow: a full first row, then the diagonal.
	m := read(t, coordinateBanner+"4 4 7\n1 1 1\n1 2 1\n1 3 1\n1 4 1\n2 2 1\n3 3 1\n4 4 1\n").(*CSR)
	if diff := cmp.Diff([]int{0, 1, 4}, m.Balance(2)); diff != "" {
		t.Errorf("boundaries (-want +got):\n%s", diff)
	}
}
