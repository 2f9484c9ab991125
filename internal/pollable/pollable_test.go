package pollable_test

import (
	"errors"
	"os"
	"os/exec"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sublet-hpc/sublet/internal/pollable"
)

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// ring makes a descriptor that becomes readable when ring is called.
func ring(t *testing.T) (file *os.File, ring func()) {
	t.Helper()
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	check(t, err)
	file, err = pollable.New(fd, "bell")
	check(t, err)
	t.Cleanup(func() { file.Close() })
	return file, func() {
		_, err := file.Write([]byte{1, 0, 0, 0, 0, 0, 0, 0})
		check(t, err)
	}
}

func readable(t *testing.T, file *os.File) bool {
	t.Helper()
	is, err := pollable.Readable(file)
	check(t, err)
	return is
}

func TestWaitingReadsNothing(t *testing.T) {
	file, ring := ring(t)
	if readable(t, file) {
		t.Error("readable before anything came")
	}
	check(t, pollable.Nap(file, time.Millisecond)) // a deadline, which must not outlast it
	waited := make(chan error, 1)
	go func() { waited <- pollable.Wait(file) }()
	ring()
	check(t, <-waited)
	check(t, pollable.Wait(file))
	check(t, pollable.Nap(file, time.Hour))
	check(t, pollable.Nap(file, 0))
	if !readable(t, file) {
		t.Error("something was read")
	}
}

func TestClosedWhileWaiting(t *testing.T) {
	file, _ := ring(t)
	waited := make(chan error, 1)
	go func() { waited <- pollable.Wait(file) }()
	check(t, file.Close())
	if err := <-waited; err == nil {
		t.Error("what can not come has come")
	}
	if _, err := pollable.Readable(file); err == nil {
		t.Error("a closed file can be looked at")
	}
}

func TestProcess(t *testing.T) {
	child := exec.Command("cat")
	stdin, err := child.StdinPipe()
	check(t, err)
	check(t, child.Start())
	pidfd, err := pollable.Process(child.Process.Pid)
	check(t, err)
	blocking, err := unix.PidfdOpen(child.Process.Pid, 0)
	check(t, err)
	copied, err := pollable.FromFile(os.NewFile(uintptr(blocking), "pidfd"))
	check(t, err)
	defer pidfd.Close()
	defer copied.Close()
	if readable(t, pidfd) || readable(t, copied) {
		t.Error("it has exited before it could")
	}
	check(t, stdin.Close())
	check(t, pollable.Wait(pidfd))
	check(t, pollable.Wait(copied))
	check(t, child.Wait())
	if _, err := pollable.Process(child.Process.Pid); !errors.Is(err, unix.ESRCH) {
		t.Errorf("a process that was reaped: %v", err)
	}
	if _, err := pollable.Copy(-1, "nothing"); !errors.Is(err, unix.EBADF) {
		t.Errorf("no descriptor: %v", err)
	}
}
