package slurm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

const (
	// drainTime is how long a pipe is read on after a command has ended, if a child of it holds it open.
	drainTime = time.Second
	// keptErrors is how much of the end of stderr is kept for errors.
	keptErrors = 4 << 10
)

var errTooMuch = errors.New("too much output")

// execute runs a program until it ends, or until the context does, and then kills it and its children. stdout is what
// it wrote there, up to a limit; stderr is the end of what it wrote there.
func execute(ctx context.Context, path string, args, environment []string, input string, limit int) (stdout []byte, stderr string, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	out := &bounded{limit: limit, full: func() { cancel(errTooMuch) }}
	tail := &tail{limit: keptErrors}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = environment
	cmd.Stdout, cmd.Stderr = out, tail
	if input != "" {
		cmd.Stdin = strings.NewReader(input)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return killGroup(cmd.Process) }
	cmd.WaitDelay = drainTime
	err = cmd.Run()
	if errors.Is(err, exec.ErrWaitDelay) { // it has ended well; a child of its goes on and holds a pipe
		_ = killGroup(cmd.Process)
		err = nil
	}
	if out.over {
		err = errTooMuch
	}
	return out.buffer.Bytes(), tail.String(), err
}

// killGroup kills a process that leads a group, with all of it.
func killGroup(leader *os.Process) error {
	err := syscall.Kill(-leader.Pid, syscall.SIGKILL)
	if errors.Is(err, syscall.ESRCH) {
		return os.ErrProcessDone
	}
	return err
}

// bounded keeps what is written up to a limit, and then tells so.
type bounded struct {
	buffer bytes.Buffer
	limit  int
	full   func()
	over   bool
}

func (b *bounded) Write(p []byte) (int, error) {
	if b.buffer.Len()+len(p) > b.limit {
		b.over = true
		b.full()
		return 0, errTooMuch
	}
	return b.buffer.Write(p)
}

// tail keeps the end of what is written.
type tail struct {
	kept  []byte
	limit int
}

func (t *tail) Write(p []byte) (int, error) {
	t.kept = append(t.kept, p...)
	if more := len(t.kept) - t.limit; more > 0 {
		t.kept = append(t.kept[:0], t.kept[more:]...)
	}
	return len(p), nil
}

// String is the last lines as one, fit for a terminal.
func (t *tail) String() string {
	const most = 4
	var lines []string
	for line := range strings.Lines(string(t.kept)) {
		line = strings.Map(printable, strings.ToValidUTF8(strings.TrimSpace(line), "?"))
		if line != "" {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines[max(len(lines)-most, 0):], "; ")
}

func printable(r rune) rune {
	if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
		return ' '
	}
	return r
}

// ended says how a command ended that did not succeed.
func ended(err error) string {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
			return fmt.Sprintf("signal %v", status.Signal())
		}
		return fmt.Sprintf("exit status %d", exit.ExitCode())
	}
	return err.Error()
}
