package slurm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sublet-hpc/sublet/internal/buildtest"
)

// program writes a shell script that takes the place of one of Slurm's commands.
func program(t *testing.T, body string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "command")
	buildtest.Script(t, path, body+"\n")
	return path
}

// How a command ends, and what is made of that.
func TestFailures(t *testing.T) {
	for name, c := range map[string]struct {
		body   string
		reason error
		says   []string
	}{
		"refused": {
			"echo 'sbatch: error: Batch job submission failed: Invalid partition name specified' >&2; exit 1", ErrRefused,
			[]string{"Slurm refuses: sbatch: error: Batch job submission failed: Invalid partition name specified"},
		},
		"unreachable": {
			"echo 'sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect failure)' >&2; exit 1", ErrUnreachable,
			[]string{"sbatch has no answer from slurmctld", "scontrol ping", "connect failure"},
		},
		"lost answer": {
			"echo 'sbatch: error: Batch job submission failed: Zero Bytes were transmitted or received' >&2; exit 1", ErrUnreachable,
			[]string{"Zero Bytes"},
		},
		"silent":   {"exit 3", ErrFailed, []string{"sbatch failed: exit status 3"}},
		"signal":   {"kill -SEGV $$", ErrFailed, []string{"sbatch failed: signal segmentation fault"}},
		"hangs":    {"echo 'sbatch: still trying' >&2; exec sleep 1000", ErrTimeout, []string{"sbatch did not end within 3s", "sbatch: still trying"}},
		"children": {"sleep 1000 & sleep 1000", ErrTimeout, []string{"within 3s"}},
		"deaf":     {"trap '' TERM INT HUP; while :; do sleep 1000; done", ErrTimeout, []string{"within 3s"}},
		"garbage":  {"echo Submitted batch job 7", ErrOutput, []string{`sbatch wrote what is not understood: "Submitted batch job 7\n" is no number of a job`}},
		"nothing":  {"cat >/dev/null", ErrOutput, []string{`"" is no number of a job`}},
		"two":      {"echo 7; echo 8", ErrOutput, []string{"is no number"}},
		"zero":     {"echo 0", ErrOutput, []string{"is no number"}},
		"too much": {"yes", ErrOutput, []string{"more than 1 MiB"}},
		"last words": {
			`i=0; while [ $i -lt 2000 ]; do echo "line $i" >&2; i=$((i+1)); done; printf 'the \033[1mend\377\n\n' >&2; exit 1`, ErrRefused,
			[]string{"Slurm refuses: line 1997; line 1998; line 1999; the  [1mend?"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// A command that is to hang is given little time, others as much as a busy machine needs.
			deadline := time.Minute
			if errors.Is(c.reason, ErrTimeout) {
				deadline = 3 * time.Second
			}
			client := New(Options{Deadline: deadline, MaxOutput: 1 << 20, Sbatch: program(t, c.body)})
			began := time.Now()
			id, err := client.Submit(t.Context(), Script{Body: strings.Repeat("true\n", 100_000)}) // more than a pipe takes
			if took := time.Since(began); took > 30*time.Second {
				t.Errorf("it took %v", took)
			}
			if !errors.Is(err, c.reason) {
				t.Fatalf("%d, %v", id, err)
			}
			for _, says := range c.says {
				if !strings.Contains(err.Error(), says) {
					t.Errorf("%v\nshould say %s", err, says)
				}
			}
			if counter := client.Counters()["sbatch"]; counter.Calls != 1 || counter.Failures != 1 || (counter.Timeouts == 1) != errors.Is(c.reason, ErrTimeout) || counter.Time <= 0 {
				t.Errorf("%+v", counter)
			}
		})
	}
}

func TestNoSlurm(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	client := New(Options{})
	_, err := client.Nodes(t.Context())
	if !errors.Is(err, ErrNoSlurm) || !strings.Contains(err.Error(), "sinfo is not on PATH; load your site's slurm module") {
		t.Error(err)
	}
	if _, err := client.Srun(); !errors.Is(err, ErrNoSlurm) || !strings.Contains(err.Error(), "srun") {
		t.Error(err)
	}
}

// alive says whether a process runs: it is there, and no zombie.
func alive(t *testing.T, pid int) bool {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	state := status[bytes.LastIndexByte(status, ')')+2]
	return state != 'Z' && state != 'X'
}

func readPID(t *testing.T, path string) int {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// awaitDeath waits until a process that was killed has ended.
func awaitDeath(t *testing.T, pid int) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for alive(t, pid) {
		select {
		case <-deadline:
			t.Fatalf("process %d still runs", pid)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// A command that hangs takes its children along.
func TestHangingCommandLeavesNothing(t *testing.T) {
	pid := filepath.Join(t.TempDir(), "pid")
	client := New(Options{Deadline: 3 * time.Second, Scancel: program(t, "sleep 1000 & echo $! >"+pid+"; wait")})
	if err := client.Cancel(t.Context(), 7); !errors.Is(err, ErrTimeout) {
		t.Fatal(err)
	}
	awaitDeath(t, readPID(t, pid))
}

// A command that has ended, of which a child goes on and holds its output open, has succeeded; the child is ended.
func TestChildThatHoldsOutput(t *testing.T) {
	pid := filepath.Join(t.TempDir(), "pid")
	client := New(Options{Sbatch: program(t, "sleep 1000 & echo $! >"+pid+"; echo '42;cluster'")})
	id, err := client.Submit(t.Context(), Script{Body: "true"})
	if err != nil || id != 42 {
		t.Fatal(id, err)
	}
	awaitDeath(t, readPID(t, pid))
}

// Whoever gives up gets his own error at once, and it does not count as one of Slurm's.
func TestContext(t *testing.T) {
	started := filepath.Join(t.TempDir(), "started")
	if err := syscall.Mkfifo(started, 0o600); err != nil {
		t.Fatal(err)
	}
	client := New(Options{Squeue: program(t, "echo >"+started+"; exec sleep 1000")})
	ctx, cancel := context.WithCancelCause(t.Context())
	gone := errors.New("nobody wants to know")
	go func() {
		if _, err := os.ReadFile(started); err != nil {
			t.Error(err)
		}
		cancel(gone)
	}()
	if _, err := client.Jobs(ctx); !errors.Is(err, gone) {
		t.Fatal(err)
	}
	if counter := client.Counters()["squeue"]; counter.Failures != 0 {
		t.Errorf("%+v", counter)
	}
	if _, err := client.Jobs(ctx); !errors.Is(err, gone) {
		t.Fatal(err)
	}
}

// Slurm 22.05 ends with success and an empty list when slurmctld is away.
func TestSuccessWithErrors(t *testing.T) {
	client := New(Options{Squeue: program(t, `echo '{"errors":[{"description":"Failed while looking for jobs","error_number":-1,"error":"Unspecified error","source":"slurm_load_jobs"}],"jobs":[]}'`)})
	jobs, err := client.Jobs(t.Context())
	if !errors.Is(err, ErrUnreachable) || len(jobs) != 0 || !strings.Contains(err.Error(), "slurm_load_jobs: Failed while looking for jobs: Unspecified error") {
		t.Fatal(jobs, err)
	}
}

// A command that fails is left alone for a time that grows, and then tried again. All of that is counted; what changes
// is logged, and nothing twice.
func TestBackOff(t *testing.T) {
	fails := filepath.Join(t.TempDir(), "fails")
	if err := os.WriteFile(fails, []byte("connection refused"), 0o600); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	client := New(Options{
		Log: slog.New(slog.NewTextHandler(&log, nil)),
		Sinfo: program(t, `if [ -e `+fails+` ]; then echo 'slurm_load_node: Unable to contact slurm controller (connect failure)' >&2; exit 1; fi
			echo '{"nodes":[{"name":"n1","state":"idle"}]}'`),
		Squeue: program(t, `echo '{"jobs":[]}'`),
	})
	var clock atomic.Int64
	client.now = func() time.Time { return time.Unix(1_000_000, clock.Load()) }

	var pauses []time.Duration
	for range 9 {
		_, err := client.Nodes(t.Context())
		var failure *Error
		if !errors.As(err, &failure) || !errors.Is(err, ErrUnreachable) || errors.Is(err, ErrBackingOff) {
			t.Fatal(err)
		}
		pause := failure.RetryAt.Sub(client.now())
		pauses = append(pauses, pause)
		clock.Add(int64(pause) - 1)
		if _, err := client.Nodes(t.Context()); !errors.Is(err, ErrBackingOff) || !errors.Is(err, ErrUnreachable) {
			t.Fatal(err)
		}
		if _, err := client.Jobs(t.Context()); err != nil { // the others are not concerned
			t.Fatal(err)
		}
		clock.Add(1)
	}
	for i, pause := range pauses {
		if least := min(time.Second<<i, time.Minute); pause < least || pause >= least+least/5 {
			t.Errorf("pause %d is %v", i, pause)
		}
	}
	if counter := client.Counters()["sinfo"]; counter.Calls != 9 || counter.Failures != 9 || counter.Skipped != 9 || counter.Timeouts != 0 {
		t.Errorf("%+v", counter)
	}
	if n := strings.Count(log.String(), "\n"); n != 1 || !strings.Contains(log.String(), "level=WARN") || !strings.Contains(log.String(), "connect failure") {
		t.Errorf("logged, %d lines:\n%s", n, &log)
	}

	if err := os.Remove(fails); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if nodes, err := client.Nodes(t.Context()); err != nil || len(nodes) != 1 {
			t.Fatal(nodes, err)
		}
	}
	if n := strings.Count(log.String(), "\n"); n != 2 || !strings.Contains(log.String(), "level=INFO") || !strings.Contains(log.String(), "failures=9") {
		t.Errorf("logged, %d lines:\n%s", n, &log)
	}
}

// A refusal is an answer: the next script is another. It is logged once.
func TestRefusalsAreNotBackedOff(t *testing.T) {
	var log bytes.Buffer
	client := New(Options{
		Log:    slog.New(slog.NewTextHandler(&log, nil)),
		Sbatch: program(t, "cat >/dev/null; echo 'sbatch: error: Batch job submission failed: Job violates accounting/QOS policy' >&2; exit 1"),
	})
	for range 3 {
		if _, err := client.Submit(t.Context(), Script{}); !errors.Is(err, ErrRefused) || errors.Is(err, ErrBackingOff) {
			t.Fatal(err)
		}
	}
	if counter := client.Counters()["sbatch"]; counter.Calls != 3 || counter.Refusals != 3 || counter.Skipped != 0 {
		t.Errorf("%+v", counter)
	}
	if n := strings.Count(log.String(), "\n"); n != 1 {
		t.Errorf("logged, %d lines:\n%s", n, &log)
	}
}

// The commands do not see what would change what they do, nor the job that this process is in.
func TestScrubbedEnvironment(t *testing.T) {
	for name, value := range map[string]string{
		"SQUEUE_PARTITION": "x", "SINFO_FORMAT": "%n", "SCANCEL_INTERACTIVE": "1", "SLURM_CONF": "/x/slurm.conf",
		"SBATCH_ACCOUNT": "a", "SBATCH_PARTITION": "p", "SBATCH_JOB_NAME": "j", "SBATCH_ARRAY_INX": "1-9", "SBATCH_WAIT": "1", "SLURM_JOB_ID": "7", "SLURM_MEM_PER_NODE": "100", "SLURMD_NODENAME": "n1", "OTHER": "y",
	} {
		t.Setenv(name, value)
	}
	seen := filepath.Join(t.TempDir(), "seen")
	client := New(Options{Sbatch: program(t, "cat >/dev/null; env >"+seen+"; echo 7")})
	if _, err := client.Submit(t.Context(), Script{Options: []string{"-p", "other"}}); err != nil {
		t.Fatal(err)
	}
	environment, err := os.ReadFile(seen)
	if err != nil {
		t.Fatal(err)
	}
	for name, kept := range map[string]bool{
		"SQUEUE_PARTITION": false, "SINFO_FORMAT": false, "SCANCEL_INTERACTIVE": false, "SLURM_JOB_ID": false, "SLURM_MEM_PER_NODE": false,
		"SLURMD_NODENAME": false, "SLURM_CONF": true, "SBATCH_ACCOUNT": true, "SBATCH_PARTITION": false, "SBATCH_JOB_NAME": false,
		"SBATCH_ARRAY_INX": false, "SBATCH_WAIT": false, "OTHER": true, "SLURM_JSON": true,
	} {
		if strings.Contains("\n"+string(environment), "\n"+name+"=") != kept {
			t.Errorf("%s: kept should be %v", name, kept)
		}
	}
}

// What is on the command lines, and what sbatch gets on its standard input.
func TestCommandLines(t *testing.T) {
	seen := filepath.Join(t.TempDir(), "seen")
	client := New(Options{
		Sbatch:  program(t, "{ echo \"$@\"; cat; } >"+seen+"; echo 7"),
		Scancel: program(t, "echo $# \"$@\" >>"+seen),
	})
	if _, err := client.Submit(t.Context(), Script{Options: []string{"--hold"}, Body: "true"}); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(seen); err != nil || string(text) != "--parsable\n#!/bin/sh\n#SBATCH --hold\n\ntrue\n" {
		t.Errorf("%q, %v", text, err)
	}
	if err := os.Remove(seen); err != nil {
		t.Fatal(err)
	}
	if err := client.Cancel(t.Context()); err != nil {
		t.Fatal(err)
	}
	ids := make([]JobID, 1001)
	for i := range ids {
		ids[i] = JobID(i + 1)
	}
	if err := client.Cancel(t.Context(), ids...); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(seen); err != nil || !strings.HasPrefix(string(text), "1001 --quiet 1 2 ") || !strings.HasSuffix(string(text), "\n2 --quiet 1001\n") {
		t.Errorf("%q, %v", text, err)
	}
}

// One job's end is asked for by a call that does not read the queue, in a time zone that we know.
func TestEnds(t *testing.T) {
	t.Setenv("TZ", "America/New_York")
	t.Setenv("SLURM_TIME_FORMAT", "relative")
	client := New(Options{Squeue: program(t, `[ "$TZ" = UTC0 ] && [ "$SLURM_TIME_FORMAT" = standard ] || exit 1
case "$*" in
*--jobs=7\ *) echo '8 2026-11-22T03:00:00'; echo '7 2026-11-22T04:00:00' ;;
*--jobs=9\ *) echo '9 N/A' ;;
*--jobs=11\ *) ;;
*) echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1 ;;
esac`)})
	want := time.Date(2026, 11, 22, 4, 0, 0, 0, time.UTC)
	if ends, err := client.Ends(t.Context(), 7); err != nil || !ends.Equal(want) {
		t.Errorf("%v, %v; want %v", ends, err, want)
	}
	if ends, err := client.Ends(t.Context(), 9); err != nil || !ends.IsZero() {
		t.Errorf("without an end: %v, %v", ends, err)
	}
	if _, err := client.Ends(t.Context(), 12); !errors.Is(err, ErrRefused) {
		t.Errorf("of no job: %v", err)
	}
	if _, err := client.Ends(t.Context(), 11); !errors.Is(err, ErrOutput) {
		t.Errorf("of a job that is not told: %v", err)
	}
}
