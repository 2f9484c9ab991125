package report

import (
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
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
	if err := WriteSolution(path, x, "a comment"); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
	if len(lines) != 3+len(x) || lines[0] != "%%MatrixMarket matrix array real general" || lines[1] != "% a comment" || lines[2] != "5 1" {
		t.Fatalf("%s", data)
	}
	for i, line := range lines[3:] {
		if got, err := strconv.ParseFloat(line, 64); err != nil || got != x[i] {
			t.Errorf("%v was written as %s", x[i], line)
		}
	}
}

func TestSolutionReplacesAndLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x.mtx")
	for _, x := range [][]float64{{1, 2}, {3}} {
		if err := WriteSolution(path, x, "c"); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(path)
	if err != nil || !strings.HasSuffix(string(data), "\n1 1\n3e+00\n") {
		t.Errorf("%q, %v", data, err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("%v, %v", entries, err)
	}
}

func TestSolutionThatCanNotBeWritten(t *testing.T) {
	dir := t.TempDir()
	for _, path := range []string{dir, filepath.Join(dir, "no", "x.mtx")} {
		for name, err := range map[string]error{"check": CheckSolutionPath(path), "write": WriteSolution(path, []float64{1}, "c")} {
			if err == nil || !strings.Contains(err.Error(), "--output") {
				t.Errorf("%s of %s: %v", name, path, err)
			}
		}
	}
	if err := WriteSolution("/dev/full", []float64{1}, "c"); err == nil {
		t.Error("a full device took it")
	}
	if err := WriteSolution(os.DevNull, []float64{1}, "c"); err != nil {
		t.Error(err)
	}
}
