package report

import (
	"errors"
	"fmt"
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

// A link stays one, and leads to the new solution; what stands for a descriptor, as /dev/stdout, is written to.
func TestSolutionBehindALink(t *testing.T) {
	dir := t.TempDir()
	path, link, standard := filepath.Join(dir, "x.mtx"), filepath.Join(dir, "link"), filepath.Join(dir, "standard")
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	descriptor := fmt.Sprintf("/proc/self/fd/%d", log.Fd())
	for _, err := range []error{os.WriteFile(path, nil, 0o600), os.Symlink("x.mtx", link), os.Symlink(descriptor, standard)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{link, standard} {
		before, err := os.Readlink(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(CheckSolutionPath(name), WriteSolution(name, []float64{3})); err != nil {
			t.Error(err)
		}
		if after, err := os.Readlink(name); err != nil || after != before {
			t.Errorf("%s is a link to %q now, %v", name, after, err)
		}
	}
	fmt.Fprintln(log, "report")
	if x := read(t, path); len(x) != 1 || x[0] != 3 {
		t.Errorf("%v", x)
	}
	text, err := os.ReadFile(log.Name())
	if err != nil || !strings.HasSuffix(string(text), "\n3\nreport\n") {
		t.Errorf("%q, %v", text, err)
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
