package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sublet-hpc/sublet/apps/internal/mpitest"
)

var program string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "pingpong")
	if err == nil {
		defer os.RemoveAll(dir)
		program = filepath.Join(dir, "pingpong")
		var out []byte
		if out, err = exec.Command("go", "build", "-buildvcs=false", "-o", program, ".").CombinedOutput(); err != nil {
			err = fmt.Errorf("%w\n%s", err, out)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// Two ranks, payloads below and above what MPI sends at once.
func TestPingPong(t *testing.T) {
	for _, bytes := range []string{"0", "8", "100000"} {
		r := mpitest.Run(t, 2, nil, program, "--bytes", bytes, "--blocks", "3", "--count", "5", "--warmup", "2")
		var got result
		if err := json.Unmarshal([]byte(r.Stdout), &got); err != nil || r.Status != 0 {
			t.Fatalf("%s bytes: status %d, %v\n%s%s", bytes, r.Status, err, r.Stdout, r.Stderr)
		}
		if fmt.Sprint(got.Bytes) != bytes || got.MPI == "" || len(got.Blocks) != 3 {
			t.Errorf("%s bytes: %+v", bytes, got)
		}
		for _, b := range got.Blocks {
			if len(b.Samples) != 5 || b.Elapsed <= 0 || b.Samples[0] <= 0 {
				t.Errorf("%s bytes: %+v", bytes, b)
			}
		}
	}
}

func TestRefusals(t *testing.T) {
	if r := mpitest.Run(t, 3, nil, program); r.Status == 0 || !strings.Contains(r.Stderr, "3 ranks") {
		t.Errorf("three ranks: status %d\n%s", r.Status, r.Stderr)
	}
	if r := mpitest.Run(t, 2, nil, program, "--count", "0"); r.Status == 0 || !strings.Contains(r.Stderr, "at least 1") {
		t.Errorf("no round trips: status %d\n%s", r.Status, r.Stderr)
	}
	if r := mpitest.Run(t, 2, nil, program, "--help"); r.Status != 0 || strings.Count(r.Stdout, "Usage:") != 1 {
		t.Errorf("help: status %d\n%s", r.Status, r.Stdout)
	}
}
