package main

import (
	"strings"
	"testing"

	"github.com/sublet-hpc/sublet/apps/internal/mpitest"
)

// The report says what each executor may use, and rows that do not fit are refused with the option
// that helps.
func TestExecutorMemory(t *testing.T) {
	r, _ := solveBy(t, 1, nil, "--size", "1000", "--executor-memory", "64M")
	if r.ExecutorMemory == nil || *r.ExecutorMemory != 64<<20 || r.Leased[0].Memory != 64<<20 {
		t.Errorf("%v, %+v", r.ExecutorMemory, r.Leased)
	}
	r, _ = solveBy(t, 1, nil, "--size", "100")
	if r.ExecutorMemory == nil || *r.ExecutorMemory < 64<<20 {
		t.Errorf("without the option: %v", r.ExecutorMemory)
	}
	// 1000 rows of 2500 numbers are 20 MB.
	result := mpitest.Run(t, 2, nil, path("jacobi"), "--size", "2500", "--offload", "80", "--executor-memory", "16MiB")
	said := complaints(result)
	if result.Status != 1 || len(said) != 1 || !strings.Contains(said[0], "--executor-memory") || !strings.Contains(said[0], "16 MiB") {
		t.Errorf("exit status %d:\n%s", result.Status, result.Stderr)
	}
	expectNothingLeft(t)
}
