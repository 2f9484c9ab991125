package input

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sublet-hpc/sublet/apps/jacobi/linear"
)

func write(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "A.mtx")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func unheard(string, int64, int64) {}

const (
	sparse = "%%MatrixMarket matrix coordinate real symmetric\n3 3 5\n1 1 4\n2 2 5\n3 3 6\n2 1 1\n3 2 -2\n"
	dense  = "%%MatrixMarket matrix array real general\n3 3\n4\n1\n0\n1\n5\n-2\n0\n-2\n6\n"
)

// Both forms of a matrix are the same system, whole and in blocks.
func TestRead(t *testing.T) {
	rhs := write(t, "%%MatrixMarket matrix array integer general\n3 1\n5\n4\n4\n")
	for name, content := range map[string]string{"sparse": sparse, "dense": dense} {
		for _, b := range []string{"", rhs} { // the sums of the rows are the same as what is in the file
			told := int64(0)
			s, err := Read(write(t, content), b, func(_ string, read, size int64) {
				if read > size {
					t.Errorf("%d of %d bytes", read, size)
				}
				told = max(told, read)
			})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]float64{5, 4, 4}, s.RHS); diff != "" {
				t.Errorf("%s: right-hand side (-want +got):\n%s", name, diff)
			}
			if told != int64(len(content)) || s.Size() != 3 || s.Sparse() != (name == "sparse") {
				t.Errorf("%s: %d bytes, %+v", name, told, s)
			}
			solution, err := s.Direct()
			if err != nil || linear.Distance(solution.X, []float64{1, 1, 1}) > 1e-15 {
				t.Errorf("%s: %v, %v", name, solution.X, err)
			}
			bounds := s.Divide(2)
			ones, next := make([]float64, linear.Stride(3)), make([]float64, linear.Stride(3))
			copy(ones, []float64{1, 1, 1})
			for k := range 2 {
				block := s.Block(bounds[k], bounds[k+1])
				block.Sweep(next, ones, bounds[k], bounds[k+1])
				if residual := block.Residual(ones); residual != 0 {
					t.Errorf("%s: the residual of block %d is %v", name, k, residual)
				}
			}
			if !slices.Equal(next[:3], []float64{1, 1, 1}) {
				t.Errorf("%s: a sweep leads to %v", name, next)
			}
		}
	}
}

func TestEntries(t *testing.T) {
	for content, want := range map[string]int{sparse: 7, dense: 9} {
		if s, err := Read(write(t, content), "", unheard); err != nil || s.Entries() != want {
			t.Errorf("%v, %v", s, err)
		}
	}
}

// What is wrong with a system names the file, and says what is wrong in one line.
func TestWrongSystems(t *testing.T) {
	good := write(t, sparse)
	for name, test := range map[string]struct{ matrix, rhs, want string }{
		"not there":             {filepath.Join(t.TempDir(), "A.mtx"), "", "no such file"},
		"a directory":           {t.TempDir(), "", "it is a directory"},
		"another file":          {write(t, "hello\n"), "", `:1: found "hello"`},
		"not square":            {write(t, "%%MatrixMarket matrix array real general\n1 2\n1\n1\n"), "", "the matrix is 1 × 2"},
		"no rows":               {write(t, "%%MatrixMarket matrix coordinate real general\n0 0 0\n"), "", "no rows"},
		"a zero":                {write(t, strings.Replace(dense, "\n5\n", "\n0\n", 1)), "", "row 2 has a zero"},
		"nothing there":         {write(t, strings.Replace(sparse, "2 2 5", "3 1 5", 1)), "", "row 2 has a zero"},
		"skew":                  {write(t, "%%MatrixMarket matrix coordinate real skew-symmetric\n3 3 1\n2 1 1\n"), "", "row 1 and 2 others have a zero"},
		"another length":        {good, write(t, "%%MatrixMarket matrix array real general\n2 1\n1\n1\n"), "the right-hand side has 2 numbers"},
		"no vector":             {good, good, "a vector has one column"},
		"no right-hand side":    {good, filepath.Join(t.TempDir(), "b.mtx"), "no such file"},
		"a broken one":          {good, write(t, "%%MatrixMarket matrix array real general\n3 1\n1\nx\n"), ":4: "},
		"zeros that add up":     {write(t, "%%MatrixMarket matrix coordinate real general\n1 1 2\n1 1 1\n1 1 -1\n"), "", "row 1 has a zero"},
		"more than promised":    {write(t, sparse+"1 1 1\n"), "", ":8: "},
		"less than promised":    {write(t, strings.TrimSuffix(sparse, "3 2 -2\n")), "", "after 4 of 5 entries"},
		"a number that is none": {write(t, strings.Replace(sparse, "-2", "NaN", 1)), "", ":7: "},
	} {
		_, err := Read(test.matrix, test.rhs, unheard)
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v; want %q", name, err, test.want)
			continue
		}
		if !strings.HasPrefix(err.Error(), test.matrix+":") && !strings.HasPrefix(err.Error(), test.rhs+":") {
			t.Errorf("%s: %v does not begin with the file's name", name, err)
		}
	}
}

// A row of many coefficients outweighs many rows of one.
func TestDivideByWeight(t *testing.T) {
	var b strings.Builder
	b.WriteString("%%MatrixMarket matrix coordinate pattern general\n100 100 199\n")
	for i := 1; i <= 100; i++ {
		b.WriteString("1 " + strconv.Itoa(i) + "\n")
	}
	for i := 2; i <= 100; i++ {
		b.WriteString(strconv.Itoa(i) + " " + strconv.Itoa(i) + "\n")
	}
	b.WriteString("100 1\n")
	s, err := Read(write(t, strings.Replace(b.String(), " 199\n", " 200\n", 1)), "", unheard)
	if err != nil {
		t.Fatal(err)
	}
	if bounds := s.Divide(2); bounds[1] != 1 {
		t.Errorf("%v", bounds)
	}
	if s.RHS[0] != 100 {
		t.Errorf("%v", s.RHS[0])
	}
}
