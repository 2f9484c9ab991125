package report

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sublet-hpc/sublet/apps/internal/matrixmarket"
)

func TestSolutionIsReadBackExactly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.mtx")
	x := []float64{0, -1.0 / 3, math.Pi * 1e-300, math.MaxFloat64, math.SmallestNonzeroFloat64}
	if err := CheckSolutionPath(path); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Fatal("the check made the file")
	}
	if err := WriteSolution(path, x); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(x, read(t, path)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func read(t *testing.T, path string) []float64 {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	x, err := matrixmarket.ReadVector(file, path)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func TestSolutionReplacesAndLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x.mtx")
	for _, x := range [][]float64{{1, 2}, {3}} {
		if err := WriteSolution(path, x); err != nil {
			t.Fatal(err)
		}
	}
	if x := read(t, path); len(x) != 1 || x[0] != 3 {
		t.Errorf("%v", x)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("%v, %v", entries, err)
	}
}

func TestSolutionThatCanNotBeWritten(t *testing.T) {
	dir := t.TempDir()
	for _, path := range []string{dir, filepath.Join(dir, "no", "x.mtx")} {
		for name, err := range map[string]error{"check": CheckSolutionPath(path), "write": WriteSolution(path, []float64{1})} {
			if err == nil || !strings.Contains(err.Error(), "--output") {
				t.Errorf("%s of %s: %v", name, path, err)
			}
		}
	}
	if err := WriteSolution("/dev/full", []float64{1}); err == nil {
		t.Error("a full device took it")
	}
	if err := WriteSolution(os.DevNull, []float64{1}); err != nil {
		t.Error(err)
	}
}
