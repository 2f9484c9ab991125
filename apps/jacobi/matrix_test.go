package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/sublet-hpc/sublet/apps/internal/mpitest"
)

// writeFile writes a file for a test and returns its path.
func writeFile(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// sparseFile is a symmetric system of n unknowns, each with a few neighbors, the first with all of
// them, and with a diagonal that outweighs its row.
func sparseFile(n int) string {
	random := rand.New(rand.NewPCG(1, 2))
	sums := make([]float64, n)
	var lines []string
	enter := func(i, j int) {
		value := random.Float64() - 0.5
		sums[i] += max(value, -value)
		sums[j] += max(value, -value)
		lines = append(lines, fmt.Sprintf("%d %d %v\n", i+1, j+1, value))
	}
	for i := 1; i < n; i++ {
		enter(i, 0)
		for k := 2; k < 6 && k <= i; k++ {
			enter(i, i-k+1)
		}
	}
	for i, sum := range sums {
		lines = append(lines, fmt.Sprintf("%d %d %v\n", i+1, i+1, 1.1*sum+0.1))
	}
	random.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
	return fmt.Sprintf("%%%%MatrixMarket matrix coordinate real symmetric\n%d %d %d\n", n, n, len(lines)) + strings.Join(lines, "")
}

// denseFile is a full system of n unknowns.
func denseFile(n int) string {
	random := rand.New(rand.NewPCG(3, 4))
	var b strings.Builder
	fmt.Fprintf(&b, "%%%%MatrixMarket matrix array real general\n%d %d\n", n, n)
	for j := range n {
		for i := range n {
			value := random.Float64()
			if i == j {
				value = float64(n)
			}
			fmt.Fprintln(&b, value)
		}
	}
	return b.String()
}

// vectorFile is a right-hand side.
func vectorFile(n int) string {
	random := rand.New(rand.NewPCG(5, 6))
	var b strings.Builder
	fmt.Fprintf(&b, "%%%%MatrixMarket matrix array real general\n%d 1\n", n)
	for range n {
		fmt.Fprintln(&b, random.Float64()-0.5)
	}
	return b.String()
}

// A system from files has the same solution on any number of ranks and over any transport, and that
// is gonum's direct one.
func TestMatrixFiles(t *testing.T) {
	for form, content := range map[string]func(int) string{"sparse": sparseFile, "dense": denseFile} {
		const n = 301
		matrix, rhs := writeFile(t, "A.mtx", content(n)), writeFile(t, "b.mtx", vectorFile(n))
		var alone []float64
		for _, run := range []struct {
			ranks     int
			transport string
			args      string
		}{
			{1, "ring", "--offload 0"},
			{1, "ring", "--offload 100 --executors 2"},
			{2, "ring", "--offload 50"},
			{3, "ring", "--offload 30 --executors 2"},
			{1, "ofi", "--offload 50"},
			{2, "ofi", "--offload 60"},
			{3, "ofi", "--offload 50"},
		} {
			t.Run(fmt.Sprintf("%s, %d ranks, %s, %s", form, run.ranks, run.transport, run.args), func(t *testing.T) {
				args := append([]string{"--matrix", matrix, "--rhs", rhs, "--tolerance", "1e-13"}, strings.Fields(run.args)...)
				r, x := solveBy(t, run.ranks, []string{"SUBLET_TRANSPORT=" + run.transport}, args...)
				if r.N != n || r.Sparse != (form == "sparse") || r.Matrix != matrix || r.RHS != rhs || r.Seed != nil {
					t.Errorf("%+v", r)
				}
				if r.Verified == nil || !*r.Verified || !(*r.Distance <= 1e-10) {
					t.Errorf("verified %v, distance %v", r.Verified, r.Distance)
				}
				if r.Lost != 0 || r.Executors > 0 && strings.HasPrefix(*r.Transport, "ofi") != (run.transport == "ofi") {
					t.Errorf("%+v", r)
				}
				if alone == nil {
					alone = x
				}
				expectSame(t, x, alone)
			})
		}
	}
}

// The first row outweighs all others, so its rank has no other, and of the rest all have as much.
func TestRowsAreBalanced(t *testing.T) {
	const n = 400
	var b strings.Builder
	fmt.Fprintf(&b, "%%%%MatrixMarket matrix coordinate integer general\n%d %d %d\n", n, n, 2*n-1)
	for i := 1; i <= n; i++ {
		fmt.Fprintf(&b, "%d %d %d\n", i, i, 2*n)
		if i > 1 {
			fmt.Fprintf(&b, "1 %d 1\n", i)
		}
	}
	r, x := solveBy(t, 2, nil, "--matrix", writeFile(t, "A.mtx", b.String()), "--executors", "2", "--offload", "50")
	rows := map[int][]int{}
	for _, e := range r.Leased {
		rows[e.Rank] = append(rows[e.Rank], e.Rows)
	}
	// Rank 0 can not divide its row; rank 1's executors have a quarter of 399 each.
	if slices.Max(rows[0]) > 1 || !slices.Equal(slices.Sorted(slices.Values(rows[1])), []int{99, 100}) {
		t.Errorf("rows %v", rows)
	}
	ones := make([]float64, n) // what the row sums are the right-hand side of
	for i := range ones {
		ones[i] = 1
	}
	for i := range x {
		if d := x[i] - ones[i]; d > 1e-9 || d < -1e-9 {
			t.Fatalf("x[%d] is %v", i, x[i])
		}
	}
}

// Executors that crash over sparse rows are stood in for as well.
func TestSparseExecutorsAreLost(t *testing.T) {
	matrix := writeFile(t, "A.mtx", sparseFile(300))
	_, alone := solveBy(t, 1, nil, "--matrix", matrix, "--offload", "0")
	r, x := solveBy(t, 2, nil, "--matrix", matrix, "--executors", "2", "--library", path("libcrashing.so"))
	if r.Lost < 4 || !*r.Verified {
		t.Errorf("%d lost, verified %v", r.Lost, *r.Verified)
	}
	expectSame(t, x, alone)
}

// Whatever is wrong with the files is told by one rank, in one line with the file's name.
func TestWrongMatrices(t *testing.T) {
	good := sparseFile(20)
	lines := strings.SplitAfter(good, "\n")
	with := func(line int, text string) string {
		changed := slices.Clone(lines)
		changed[line-1] = text
		return strings.Join(changed, "")
	}
	vector := vectorFile(20)
	diverging := "%%MatrixMarket matrix coordinate real general\n3 3 7\n1 1 1\n2 2 1\n3 3 1\n1 2 2\n2 1 .62\n2 3 -.8\n3 2 -.6\n"
	for name, test := range map[string]struct {
		matrix, rhs string
		want        string
	}{
		"no banner":             {with(1, "hello\n"), "", "A.mtx:1: "},
		"complex":               {with(1, "%%MatrixMarket matrix coordinate complex general\n"), "", "A.mtx:1: field \"complex\""},
		"cut off":               {strings.Join(lines[:40], ""), "", "A.mtx:40: the file ends after 38 of "},
		"too long":              {good + "20 20 1\n", "", "A.mtx:" + strconv.Itoa(len(lines)) + ": "},
		"index out of range":    {with(7, "21 1 1\n"), "", "A.mtx:7: row \"21\""},
		"index zero":            {with(7, "2 0 1\n"), "", "A.mtx:7: column \"0\""},
		"no number":             {with(9, "2 1 one\n"), "", "A.mtx:9: value \"one\""},
		"upper triangle":        {with(12, "1 2 1\n"), "", "A.mtx:12: entry (1, 2) is above the diagonal"},
		"not square":            {"%%MatrixMarket matrix array real general\n1 2\n1\n1\n", "", "A.mtx: the matrix is 1 × 2"},
		"zero on the diagonal":  {"%%MatrixMarket matrix coordinate real general\n2 2 2\n1 1 1\n2 1 1\n", "", "A.mtx: row 2 has a zero on the diagonal"},
		"right-hand side short": {good, "%%MatrixMarket matrix array real general\n2 1\n1\n1\n", "b.mtx: the right-hand side has 2 numbers"},
		"right-hand side wide":  {good, good, "b.mtx: 20 × 20: a vector has one column"},
		"right-hand side wrong": {good, strings.Replace(vector, "\n", "\n%\nx", 1), "b.mtx:3: "},
		"diverging":             {diverging, "", "the spectral radius of the iteration matrix is about 1.31, as 2"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			args := []string{"--matrix", filepath.Join(dir, "A.mtx")}
			if test.rhs != "" {
				args = append(args, "--rhs", filepath.Join(dir, "b.mtx"))
			}
			for name, content := range map[string]string{"A.mtx": test.matrix, "b.mtx": test.rhs} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			result := mpitest.Run(t, 3, nil, path("jacobi"), args...)
			expectNothingLeft(t)
			said := complaints(result)
			if result.Status != 1 || result.Stdout != "" || len(said) != 1 {
				t.Fatalf("exit status %d, want 1 and one line\n%s%s", result.Status, result.Stdout, result.Stderr)
			}
			if !strings.HasPrefix(said[0], "jacobi: ") || !strings.Contains(said[0], test.want) {
				t.Errorf("%q does not say %q", said[0], test.want)
			}
		})
	}
}
