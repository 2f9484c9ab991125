package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/sublet-hpc/sublet/apps/internal/matrixmarket"
	"github.com/sublet-hpc/sublet/apps/internal/mpitest"
	"github.com/sublet-hpc/sublet/apps/jacobi/report"
)

// solveBy runs the solver, expects it to succeed, and returns its report and solution.
func solveBy(t *testing.T, ranks int, environment []string, args ...string) (report.Report, []float64) {
	t.Helper()
	output := filepath.Join(t.TempDir(), "x.mtx")
	args = append([]string{"--report", "json", "--output", output}, args...)
	result := mpitest.Run(t, ranks, environment, path("jacobi"), args...)
	if result.Status != 0 {
		t.Fatalf("%d ranks, %s: exit status %d\n%s", ranks, strings.Join(args, " "), result.Status, result.Stderr)
	}
	expectNothingLeft(t)
	var r report.Report
	decoder := json.NewDecoder(strings.NewReader(result.Stdout))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&r); err != nil || decoder.More() {
		t.Fatalf("not one JSON object: %v\n%s", err, result.Stdout)
	}
	if said := complaints(result); len(said) != min(r.Lost, 6) { // a few are told, and how many more
		t.Errorf("%d executors lost, and\n%s", r.Lost, result.Stderr)
	}
	return r, readSolution(t, output)
}

func readSolution(t *testing.T, path string) []float64 {
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

// In every shape the solution is that of one rank alone.
func TestShapes(t *testing.T) {
	alone := map[int][]float64{}
	for _, shape := range []struct {
		ranks, size int
		args        string
		executors   int
	}{
		{3, 1000, "--offload 50", 3},
		{1, 1, "--offload 100", 1},
		{3, 2, "--offload 50", 3},
		{1, 3, "--offload 100 --executors 5", 5},
		{2, 101, "--offload 33.3 --executors 2", 4},
		{2, 101, "--offload 100", 2},
		{3, 101, "--offload 0", 0},
		{1, 1000, "--offload 1", 1},
	} {
		t.Run(fmt.Sprintf("%d ranks, N = %d, %s", shape.ranks, shape.size, shape.args), func(t *testing.T) {
			size := []string{"--size", strconv.Itoa(shape.size)}
			if alone[shape.size] == nil {
				_, alone[shape.size] = solveBy(t, 1, nil, append(size, "--offload", "0")...)
			}
			r, x := solveBy(t, shape.ranks, nil, append(size, strings.Fields(shape.args)...)...)
			if r.N != shape.size || r.Ranks != shape.ranks || r.Executors != shape.executors || r.Lost != 0 || r.Iterations < 1 {
				t.Errorf("%+v", r)
			}
			if shape.executors > 0 && (*r.Transport != "ring" || *r.Provider != "memfd") {
				t.Errorf("by %s, %s", *r.Transport, *r.Provider)
			}
			if !(r.Residual <= r.Tolerance) || r.Verified == nil || !*r.Verified || r.SecondsLocal != nil {
				t.Errorf("residual %g, verified %v", r.Residual, r.Verified)
			}
			expectSame(t, x, alone[shape.size])
		})
	}
}

func expectSame(t *testing.T, x, want []float64) {
	t.Helper()
	if len(x) != len(want) {
		t.Fatalf("%d numbers, want %d", len(x), len(want))
	}
	for i := range x {
		if !(math.Abs(x[i]-want[i]) <= 1e-12) {
			t.Fatalf("x[%d] is %v, and %v by one rank alone", i, x[i], want[i])
		}
	}
}

func TestOverLibfabric(t *testing.T) {
	_, alone := solveBy(t, 1, nil, "--size", "300", "--offload", "0")
	r, x := solveBy(t, 2, []string{"SUBLET_TRANSPORT=ofi"}, "--size", "300", "--offload", "50")
	if *r.Transport != "ofi-write" || *r.Provider != "tcp" {
		t.Errorf("by %s, %s", *r.Transport, *r.Provider)
	}
	expectSame(t, x, alone)
}

func TestExactlySoManyIterations(t *testing.T) {
	r, _ := solveBy(t, 1, nil, "--size", "200", "--iterations", "7")
	if r.Iterations != 7 || r.Residual <= r.Tolerance || r.Verified != nil || !(r.Seconds > 0) {
		t.Errorf("%+v", r)
	}
}

// Executors that crash again and again cost time, but the solution is right.
func TestExecutorsAreLost(t *testing.T) {
	_, alone := solveBy(t, 1, nil, "--size", "300", "--offload", "0")
	r, x := solveBy(t, 2, nil, "--size", "300", "--executors", "2", "--library", path("libcrashing.so"))
	if r.Lost < 4 || !*r.Verified {
		t.Errorf("%d lost, verified %v", r.Lost, *r.Verified)
	}
	if len(r.Losses) == 0 || !strings.HasSuffix(r.Losses[0].Text, "was lost: ended by signal 6 (SIGABRT) in function jacobi_sweep") {
		t.Errorf("%+v", r.Losses)
	}
	expectSame(t, x, alone)
}

func TestCompare(t *testing.T) {
	result := mpitest.Run(t, 1, nil, path("jacobi"), "--size", "400", "--compare")
	expectNothingLeft(t)
	lines := strings.Split(strings.TrimSuffix(result.Stdout, "\n"), "\n")
	if result.Status != 0 || !strings.Contains(lines[len(lines)-1], "verified") {
		t.Fatalf("exit status %d\n%s%s", result.Status, result.Stdout, result.Stderr)
	}
	for _, want := range []string{"400 unknowns", "1 rank, 1 executor", "ring", "memfd", "all local", "half offloaded", "speed-up", "cores", "residual"} {
		if !strings.Contains(result.Stdout, want) {
			t.Errorf("no %q in\n%s", want, result.Stdout)
		}
	}
	r, _ := solveBy(t, 1, nil, "--size", "400", "--compare")
	if r.SecondsLocal == nil || r.Speedup == nil || *r.Speedup != *r.SecondsLocal/r.Seconds || *r.Difference > 1e-12 {
		t.Errorf("%+v", r)
	}
}

func TestHelp(t *testing.T) {
	result := mpitest.Run(t, 2, nil, path("jacobi"), "--help")
	if result.Status != 0 || strings.Count(result.Stdout, "Usage:") != 1 {
		t.Errorf("exit status %d\n%s%s", result.Status, result.Stdout, result.Stderr)
	}
}
