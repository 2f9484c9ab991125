package mpitest

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Limit is how long a program may run; what takes longer hangs.
const Limit = 60 * time.Second

// Result is how a program under mpirun ended.
type Result struct {
	Stdout, Stderr string
	Status         int // mpirun's exit status
}

// Lines returns the lines of standard error that start with a prefix: what the program said, as
// against mpirun's own words about how it ended.
func (r Result) Lines(prefix string) []string {
	var lines []string
	for line := range strings.Lines(r.Stderr) {
		if strings.HasPrefix(line, prefix) {
			lines = append(lines, strings.TrimSuffix(line, "\n"))
		}
	}
	return lines
}

// Run runs a program on some ranks, with variables added to the environment, and fails the test
// if it does not end within Limit.
func Run(t testing.TB, ranks int, environment []string, program string, args ...string) Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Limit)
	defer cancel()
	command := Command(ctx, ranks, environment, program, args...)
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	err := command.Run()
	result := Result{stdout.String(), stderr.String(), command.ProcessState.ExitCode()}
	if ctx.Err() != nil {
		t.Fatalf("%v did not end within %v\n%s%s", command.Args, Limit, &stdout, &stderr)
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%v: %v", command.Args, err)
	}
	return result
}

// Command is the mpirun that Run runs. Its processes are a process group of their own, which is
// killed when ctx ends.
func Command(ctx context.Context, ranks int, environment []string, program string, args ...string) *exec.Cmd {
	mpirun := os.Getenv("MPIRUN")
	if mpirun == "" {
		mpirun = "mpirun"
	}
	var flags []string
	if version, err := exec.CommandContext(ctx, mpirun, "--version").CombinedOutput(); err == nil && bytes.Contains(version, []byte("Open MPI")) {
		// Tests use more ranks than a small machine has cores.
		flags = []string{"--oversubscribe", "--mca", "mpi_yield_when_idle", "1"}
	}
	flags = append(flags, "-n", strconv.Itoa(ranks), program)
	command := exec.CommandContext(ctx, mpirun, append(flags, args...)...)
	command.Env = append(os.Environ(), "OMPI_ALLOW_RUN_AS_ROOT=1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1")
	command.Env = append(command.Env, environment...)
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGKILL) }
	command.WaitDelay = 5 * time.Second
	return command
}
