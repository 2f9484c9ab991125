package linear

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// Whoever generates a row gets the same one, alone or in a block.
func TestRowsAreTheSameForEverybody(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := System{N: rapid.IntRange(1, 60).Draw(t, "n"), Seed: rapid.Uint64().Draw(t, "seed"), Dominance: 1.5}
		lo := rapid.IntRange(0, s.N).Draw(t, "lo")
		hi := rapid.IntRange(lo, s.N).Draw(t, "hi")
		block := s.Block(lo, hi)
		row := make([]float64, s.N)
		for i := range block.Rows {
			diagonal, rhs := s.Row(lo+i, row)
			got := block.Matrix.(*Dense).Row(i)
			if diagonal != block.Diagonal[i] || rhs != block.RHS[i] || !cmp.Equal(row, got[:s.N]) {
				t.Fatalf("row %d differs in a block", lo+i)
			}
			for _, padding := range got[s.N:] {
				if padding != 0 {
					t.Fatalf("row %d is padded with %v", lo+i, padding)
				}
			}
		}
	})
}

func TestSystemIsDominant(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := System{N: rapid.IntRange(1, 60).Draw(t, "n"), Seed: rapid.Uint64().Draw(t, "seed"), Dominance: 1.25}
		row := make([]float64, s.N)
		i := rapid.IntRange(0, s.N-1).Draw(t, "i")
		diagonal, rhs := s.Row(i, row)
		sum := 0.0
		for j, a := range row {
			if j == i {
				continue
			}
			if a < 0 || a >= 1 {
				t.Fatalf("element %d, %d is %v", i, j, a)
			}
			sum += a
		}
		if row[i] != diagonal || diagonal < 1.25*sum*(1-1e-12) || diagonal < 1.25 || math.Abs(rhs) > diagonal {
			t.Fatalf("row %d: diagonal %v, %v beside it; right-hand side %v", i, diagonal, sum, rhs)
		}
	})
}

func TestSeedsDiffer(t *testing.T) {
	a, b := System{N: 4, Seed: 1, Dominance: 2}.Block(0, 4), System{N: 4, Seed: 2, Dominance: 2}.Block(0, 4)
	if cmp.Equal(a.Diagonal, b.Diagonal) || a.Diagonal[0] == a.Diagonal[1] {
		t.Error("two seeds, or two rows, are the same")
	}
}

func TestPlaceRefusesOtherMemory(t *testing.T) {
	s := System{N: 5, Seed: 1, Dominance: 2}
	memory := bytesOf(make([]float64, s.Bytes(0, 3)/8+1))
	if _, err := s.Place(0, 3, memory); err == nil {
		t.Error("too much memory was taken")
	}
	if _, err := s.Place(0, 3, memory[1:s.Bytes(0, 3)+1]); err == nil {
		t.Error("memory that is not aligned was taken")
	}
}

func TestDivide(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n, parts := rapid.IntRange(0, 200).Draw(t, "n"), rapid.IntRange(1, 50).Draw(t, "parts")
		bounds := Divide(n, parts)
		least, most := n, 0
		for p := range parts {
			size := bounds[p+1] - bounds[p]
			least, most = min(least, size), max(most, size)
		}
		if len(bounds) != parts+1 || bounds[0] != 0 || bounds[parts] != n || least < 0 || most-least > 1 {
			t.Fatalf("%v", bounds)
		}
	})
}

// It does not matter which rows are computed together: a rank's share may be cut anywhere.
func TestSweepInParts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := System{N: rapid.IntRange(1, 90).Draw(t, "n"), Seed: 3, Dominance: 1.1}
		x := vector(s, rand.New(rand.NewPCG(5, rapid.Uint64().Draw(t, "x"))))
		whole, parts := make([]float64, Stride(s.N)), make([]float64, Stride(s.N))
		s.Block(0, s.N).Sweep(whole, x, 0, s.N)
		cut := rapid.IntRange(0, s.N).Draw(t, "cut")
		s.Block(0, cut).Sweep(parts, x, 0, cut)
		rest := s.Block(cut, s.N)
		middle := rapid.IntRange(cut, s.N).Draw(t, "middle")
		rest.Sweep(parts, x, middle, s.N)
		rest.Sweep(parts, x, cut, middle)
		for i := range whole {
			if whole[i] != parts[i] {
				t.Fatalf("row %d is %v among all and %v in its part", i, whole[i], parts[i])
			}
		}
	})
}

// What a sweep leaves behind is the residual, and sweeps lead to the direct solution.
func TestSweepsConverge(t *testing.T) {
	for _, n := range []int{1, 2, 3, 10, 137} {
		s := System{N: n, Seed: 11, Dominance: 1.3}
		block := s.Block(0, n)
		largest := MaxAbs(block.RHS)
		x, next := make([]float64, Stride(s.N)), make([]float64, Stride(s.N))
		residual := math.Inf(1)
		for range 400 {
			block.Sweep(next, x, 0, n)
			residual = Step(next, x, 0, block.Diagonal) / largest
			if direct := s.Residual(x, 0, n) / largest; math.Abs(direct-residual) > 1e-14 {
				t.Fatalf("n=%d: the step says that the residual is %v, the system %v", n, residual, direct)
			}
			x, next = next, x
			if residual < 1e-12 {
				break
			}
		}
		solution, err := s.Direct()
		if err != nil {
			t.Fatal(err)
		}
		if distance, within := solution.Check(x, 1e-12); !within {
			t.Errorf("n=%d: residual %g, %g from the direct solution", n, residual, distance)
		}
	}
}

func TestDirectFindsWhatIsWrong(t *testing.T) {
	s := System{N: 50, Seed: 2, Dominance: 1.1}
	solution, err := s.Direct()
	if err != nil {
		t.Fatal(err)
	}
	if residual := s.Residual(solution.X, 0, s.N); residual > 1e-12 {
		t.Errorf("the direct solution has the residual %g", residual)
	}
	if _, within := solution.Check(solution.X, 1e-10); !within {
		t.Error("the solution is not near itself")
	}
	for _, wrong := range []float64{solution.X[7] + 1e-6, math.NaN(), math.Inf(-1)} {
		x := append([]float64(nil), solution.X...)
		x[7] = wrong
		if distance, within := solution.Check(x, 1e-10); within {
			t.Errorf("%v in place of %v passed; distance %g", wrong, solution.X[7], distance)
		}
	}
	if _, err := (System{N: 1, Seed: 1, Dominance: 0}).Direct(); err == nil {
		t.Error("a system without a diagonal has a solution")
	}
}

func TestNotANumberIsLargest(t *testing.T) {
	nan := math.NaN()
	if got := MaxAbs([]float64{1, nan, 2}); !math.IsInf(got, 1) {
		t.Errorf("MaxAbs of NaN: %v", got)
	}
	if got := Step([]float64{nan}, []float64{1}, 0, []float64{1}); !math.IsInf(got, 1) {
		t.Errorf("Step to NaN: %v", got)
	}
	if got := Distance([]float64{1, -3}, []float64{1, -2}); got != 0.5 {
		t.Errorf("Distance: %v", got)
	}
	if got := MaxAbs(nil); got != 0 {
		t.Errorf("MaxAbs of nothing: %v", got)
	}
}
