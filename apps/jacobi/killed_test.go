package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sublet-hpc/sublet/apps/internal/mpitest"
	"github.com/sublet-hpc/sublet/apps/jacobi/report"
)

// job is a run of the solver that is interfered with.
type job struct {
	t              *testing.T
	command        *exec.Cmd
	stdout, stderr strings.Builder
	// What its processes have left if it is there afterwards: files in /dev/shm, sockets.
	traces map[string]bool
}

// startJob starts the solver on some ranks and returns when so many executors have computed for a
// while.
func startJob(t *testing.T, ranks, executors int, args ...string) *job {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), mpitest.Limit)
	j := &job{t: t, command: mpitest.Command(ctx, ranks, nil, path("jacobi"), args...), traces: map[string]bool{}}
	j.command.Stdout, j.command.Stderr = &j.stdout, &j.stderr
	if err := j.command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = j.command.Wait() // report may have waited
		if t.Failed() {
			t.Logf("the last job says %s", &j.stderr)
		}
	})
	mpitest.Eventually(t, 30*time.Second, func() (bool, string) {
		working := 0
		for _, p := range ourProcesses(t) {
			if p.Program == "sublet-executor" && p.Busy() >= 50*time.Millisecond {
				working++
			}
		}
		return working == executors, fmt.Sprintf("%d of %d executors are at work", working, executors)
	})
	for _, p := range ourProcesses(t) {
		maps.Copy(j.traces, traces(p))
	}
	return j
}

// kill kills one process that runs a program, if there is one.
func (j *job) kill(program string) {
	j.t.Helper()
	running := ourProcesses(j.t)
	i := slices.IndexFunc(running, func(p mpitest.Process) bool { return p.Program == program })
	if i < 0 {
		return
	}
	if err := syscall.Kill(running[i].Pid, syscall.SIGKILL); err != nil && err != syscall.ESRCH {
		j.t.Error(err)
	}
}

// report waits for the end of the run, which must have succeeded.
func (j *job) report() report.Report {
	j.t.Helper()
	if err := j.command.Wait(); err != nil {
		j.t.Fatalf("%v\n%s", err, &j.stderr)
	}
	var r report.Report
	if err := json.Unmarshal([]byte(j.stdout.String()), &r); err != nil {
		j.t.Fatal(err)
	}
	return r
}

// expectNoTraces fails the test when something of the job is there 2 seconds after its end.
func (j *job) expectNoTraces() {
	j.t.Helper()
	expectNothingLeft(j.t)
	mpitest.Eventually(j.t, 2*time.Second, func() (bool, string) {
		sockets, err := os.ReadFile("/proc/net/unix")
		if err != nil {
			j.t.Fatal(err)
		}
		var left []string
		for trace := range j.traces {
			_, err := os.Stat(trace)
			if err == nil || strings.Contains(string(sockets), " "+trace+"\n") {
				left = append(left, trace)
			}
		}
		return len(left) == 0, fmt.Sprintf("there is still %v", left)
	})
}

// traces are the files in /dev/shm that a process has mapped and its abstract sockets, each by its
// inode and name: another job may have a socket of the same name next.
func traces(p mpitest.Process) map[string]bool {
	found := map[string]bool{}
	mapped, _ := os.ReadFile(fmt.Sprintf("/proc/%d/maps", p.Pid))
	for line := range strings.Lines(string(mapped)) {
		if _, file, ok := strings.Cut(strings.TrimSpace(line), " /dev/shm/"); ok {
			found["/dev/shm/"+file] = true
		}
	}
	sockets, _ := os.ReadFile("/proc/net/unix")
	own := map[string]bool{}
	folder := fmt.Sprintf("/proc/%d/fd", p.Pid)
	descriptors, _ := os.ReadDir(folder)
	for _, descriptor := range descriptors {
		target, _ := os.Readlink(filepath.Join(folder, descriptor.Name()))
		own[target] = true
	}
	for line := range strings.Lines(string(sockets)) {
		fields := strings.Fields(line) // ... inode path
		if len(fields) == 8 && strings.HasPrefix(fields[7], "@sublet") && own["socket:["+fields[6]+"]"] {
			found[fields[6]+" "+fields[7]] = true
		}
	}
	return found
}

// Ranks that are killed in the middle leave nothing behind.
func TestRanksAreKilled(t *testing.T) {
	j := startJob(t, 2, 2, "--size", "500", "--iterations", "100000000")
	if !slices.ContainsFunc(slices.Collect(maps.Keys(j.traces)), func(trace string) bool { return strings.Contains(trace, " @") }) {
		t.Errorf("no socket among %v: nothing would be noticed", j.traces)
	}
	for _, p := range ourProcesses(t) {
		if p.Program == "jacobi" {
			if err := syscall.Kill(p.Pid, syscall.SIGKILL); err != nil {
				t.Error(err)
			}
		}
	}
	expectNothingLeft(t)
	// mpirun has not been killed, and takes its time.
	if err := j.command.Wait(); err == nil {
		t.Error("mpirun has not noticed that its ranks were killed")
	}
	j.expectNoTraces()
}
