package main

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sublet-hpc/sublet/apps/internal/mpitest"
	"github.com/sublet-hpc/sublet/internal/endurance"
)

// An executor, or the helper with all of them, is killed while it prices: the run goes on, and the prices are the same
// to the last bit.
func TestEnduranceKilledWhilePricing(t *testing.T) {
	const size = "2000000"
	want := filepath.Join(t.TempDir(), "want")
	runProgram(t, 1, nil, "--size", size, "--offload", "0", "--binary", "--output", want)
	// With auto nothing may be leased while others use the cores: that needs an idle machine, and time to ask again.
	shares, programs := map[string]string{"50": "400"}, []string{"sublet-executor"}
	if endurance.InFull() {
		shares["auto"], programs = "1500", append(programs, "sublet")
	}
	for offload, repeat := range shares {
		for _, program := range programs {
			t.Run(offload+" "+program, func(t *testing.T) {
				output := filepath.Join(t.TempDir(), "prices")
				args := []string{"--size", size, "--repeat", repeat, "--offload", offload, "--binary", "--check", "--report", "json", "--output", output}
				ctx, cancel := context.WithTimeout(t.Context(), mpitest.Limit)
				defer cancel()
				command := mpitest.Command(ctx, 1, nil, path("blackscholes"), args...)
				killWhilePricing(t, command, program, func(stdout, stderr string) {
					r := decode(t, stdout)
					if *r.Mismatches != 0 || r.Lost == 0 && !strings.Contains(stderr, "no executors can be leased") {
						t.Errorf("%+v\n%s", r, stderr)
					}
					if read(t, output) != read(t, want) {
						t.Error("the prices are others")
					}
					endurance.Report(t, "--offload %s, %s killed while it prices: all %d prices are right", offload, program, r.Options)
				})
			})
		}
	}
}

// killWhilePricing kills one process of a run whose executor is at work, and waits for the run, which must succeed.
func killWhilePricing(t *testing.T, command *exec.Cmd, program string, judge func(stdout, stderr string)) {
	t.Helper()
	var stdout, stderr strings.Builder
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	named := func(name string) func(mpitest.Process) bool {
		return func(p mpitest.Process) bool { return p.Program == name }
	}
	mpitest.Eventually(t, 30*time.Second, func() (bool, string) {
		select {
		case err := <-ended:
			t.Fatalf("it ended before an executor was at work: %v\n%s", err, &stderr)
		default:
		}
		running := mpitest.Processes(t, bin)
		i := slices.IndexFunc(running, named("sublet-executor"))
		return i >= 0 && running[i].Busy() >= 50*time.Millisecond, fmt.Sprintf("no executor is at work among %v", running)
	})
	running := mpitest.Processes(t, bin)
	if i := slices.IndexFunc(running, named(program)); i < 0 {
		t.Errorf("there is no %s among %v", program, running)
	} else if err := syscall.Kill(running[i].Pid, syscall.SIGKILL); err != nil {
		t.Error(err)
	}
	if err := <-ended; err != nil {
		t.Fatalf("%v\n%s", err, &stderr)
	}
	mpitest.ExpectNothingLeft(t, bin)
	judge(stdout.String(), stderr.String())
}
