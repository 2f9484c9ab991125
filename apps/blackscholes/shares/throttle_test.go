package shares

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// stopThreeQuarters stops a process for 1.5 ms of each 2 ms, until the test ends.
func stopThreeQuarters(t *testing.T, pid int) error {
	t.Helper()
	const runs, stops = 500 * time.Microsecond, 1500 * time.Microsecond
	var over atomic.Bool
	ended := make(chan error)
	go func() {
		runtime.LockOSThread() // Go's own timers are too coarse
		defer runtime.UnlockOSThread()
		defer goFirst()()
		var err error
		for at := time.Now(); err == nil && !over.Load(); {
			for _, turn := range []struct {
				signal syscall.Signal
				time   time.Duration
			}{{syscall.SIGSTOP, stops}, {syscall.SIGCONT, runs}} {
				if err == nil {
					err = syscall.Kill(pid, turn.signal)
				}
				at = at.Add(turn.time)
				left := unix.NsecToTimespec(time.Until(at).Nanoseconds())
				if left.Nano() > 0 {
					_ = unix.Nanosleep(&left, nil) // whatever is left when a signal comes is made up for by the next
				} else {
					at = time.Now()
				}
			}
		}
		ended <- err
	}()
	t.Cleanup(func() {
		over.Store(true)
		if err := <-ended; err != nil {
			t.Errorf("stopping and continuing process %d: %v", pid, err)
		}
	})
	return nil
}

// goFirst has this thread run as soon as its time has come, also where others keep all cores busy, until the function that it returns
// is called. Only root may do that; without it a process that is to be stopped runs on for a moment.
func goFirst() (undo func()) {
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1000, 0, 0, 0)
	before, err := unix.SchedGetAttr(0, 0)
	if err == nil {
		err = unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: 1}, 0)
	}
	return func() {
		if err == nil {
			_ = unix.SchedSetAttr(0, before, 0)
		}
		_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 0, 0, 0, 0)
	}
}

// cpuGroups is where control groups of version 1 have the controller of CPU time.
const cpuGroups = "/sys/fs/cgroup/cpu"

// allowQuarter has a process's control group get 1 ms of each 4 ms, until the test ends. It fails where groups can not be made.
func allowQuarter(t *testing.T, pid int) error {
	t.Helper()
	group := filepath.Join(cpuGroups, fmt.Sprintf("sublet-test-%d", os.Getpid()))
	if err := os.Mkdir(group, 0o755); err != nil {
		return err
	}
	write := func(group, file string, number int) error {
		return os.WriteFile(filepath.Join(group, file), []byte(strconv.Itoa(number)), 0)
	}
	t.Cleanup(func() {
		_ = write(cpuGroups, "cgroup.procs", pid) // it may have ended
		if err := os.Remove(group); err != nil {
			t.Error(err)
		}
	})
	for _, setting := range []struct {
		file  string
		value int
	}{{"cpu.cfs_period_us", 4000}, {"cpu.cfs_quota_us", 1000}, {"cgroup.procs", pid}} {
		if err := write(group, setting.file, setting.value); err != nil {
			return err
		}
	}
	return nil
}
