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

// Said is what the program itself wrote to standard error, by lines: without the paragraphs between
// dashed lines in which mpirun says that something has failed, and without what the library under mpirun says where a rank's
// pipes close as it ends the job.
func (r Result) Said() []string {
	var said []string
	mpiruns := false
	for line := range strings.Lines(r.Stderr) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case len(line) > 20 && strings.Trim(line, "-") == "":
			mpiruns = !mpiruns
		case strings.HasPrefix(line, "[warn] Epoll "):
		case !mpiruns:
			said = append(said, line)
		}
	}
	return said
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
	if ctx.Err() != nil {
		t.Fatalf("%v did not end within %v\n%s%s", command.Args, Limit, &stdout, &stderr)
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%v: %v", command.Args, err)
	}
	return Result{stdout.String(), stderr.String(), command.ProcessState.ExitCode()}
}

// Command is the mpirun that Run runs. When ctx ends, mpirun and what is in its process group is
// killed.
func Command(ctx context.Context, ranks int, environment []string, program string, args ...string) *exec.Cmd {
	mpirun := Launcher()
	var flags []string
	if kind, err := implementation(mpirun); err == nil && kind == openMPI { // if it fails, so does what comes
		// Tests use more ranks than a small machine has cores. When a rank fails mpirun ends the others, and would look a
		// second later whether they have ended.
		flags = []string{"--oversubscribe", "--mca", "mpi_yield_when_idle", "1", "--mca", "odls_base_sigkill_timeout", "0"}
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
