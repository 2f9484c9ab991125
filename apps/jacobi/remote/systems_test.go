package remote

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sublet-hpc/sublet/apps/jacobi/input"
)

// system is one in files, with its direct solution.
type system struct {
	matrix, rhs string
	sparse      bool
	direct      []float64
}

func newSystem(t *testing.T, matrix string, sparse bool, n int) system {
	t.Helper()
	dir := t.TempDir()
	s := system{matrix: filepath.Join(dir, "A.mtx"), rhs: filepath.Join(dir, "b.mtx"), sparse: sparse}
	check(t, os.WriteFile(s.matrix, []byte(matrix), 0o600))
	check(t, os.WriteFile(s.rhs, []byte(vector(n)), 0o600))
	read, err := input.Read(s.matrix, s.rhs, func(string, int64, int64) {})
	check(t, err)
	solution, err := read.Direct()
	check(t, err)
	s.direct = solution.X
	return s
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// plate are the equations of heat in a square plate of side × side points, by their non-zeros.
func plate(side int) string {
	var entries []string
	enter := func(i, j int, value float64) { entries = append(entries, fmt.Sprintln(i+1, j+1, value)) }
	for k := range side * side {
		enter(k, k, 4.5)
		if k%side > 0 {
			enter(k, k-1, -1)
		}
		if k >= side {
			enter(k, k-side, -1)
		}
	}
	return fmt.Sprintf("%%%%MatrixMarket matrix coordinate real symmetric\n%d %d %d\n", side*side, side*side, len(entries)) + strings.Join(entries, "")
}

// full is a system without zeros.
func full(n int) string {
	random := rand.New(rand.NewPCG(1, 1))
	var b strings.Builder
	fmt.Fprintf(&b, "%%%%MatrixMarket matrix array real general\n%d %d\n", n, n)
	for j := range n {
		for i := range n {
			value := 2*random.Float64() - 1
			if i == j {
				value = 0.8 * float64(n)
			}
			fmt.Fprintln(&b, value)
		}
	}
	return b.String()
}

func vector(n int) string {
	random := rand.New(rand.NewPCG(2, 2))
	var b strings.Builder
	fmt.Fprintf(&b, "%%%%MatrixMarket matrix array real general\n%d 1\n", n)
	for range n {
		fmt.Fprintln(&b, 2*random.Float64()-1)
	}
	return b.String()
}
