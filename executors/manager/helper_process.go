package manager

import (
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/sublet-hpc/sublet/internal/cpus"
)

// adopting says that this process is a helper, whose children are executors and what they leave.
var adopting atomic.Bool

// BecomeHelper makes a process that a rank has started its own: it lets go of what it inherited.
// It is called first thing in main, before the process has opened anything.
func BecomeHelper() error {
	if err := closeInherited(); err != nil {
		return err
	}
	// A rank's standard error may be a pipe that ends before us; that must not end our executors.
	signal.Notify(make(chan os.Signal, 1), unix.SIGPIPE)
	// What functions start and leave behind becomes our child, to be ended.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("executor manager: adopting what executors leave behind: %w", err)
	}
	adopting.Store(true)
	return widenAffinity()
}

// closeInherited closes descriptors that the rank's libraries left open across exec: sockets of
// its MPI launcher, for one, which takes their end for the rank's. The Go runtime's own are
// anonymous inodes.
func closeInherited() error {
	const folder = "/proc/self/fd"
	entries, err := os.ReadDir(folder)
	if err != nil {
		return fmt.Errorf("executor manager: finding inherited descriptors: %w", err)
	}
	for _, entry := range entries {
		fd, err := strconv.Atoi(entry.Name())
		if err != nil || fd <= 2 {
			continue
		}
		target, err := os.Readlink(filepath.Join(folder, entry.Name()))
		if err != nil || strings.HasPrefix(target, "anon_inode:") {
			continue // the folder's own is closed by now
		}
		unix.Close(fd)
	}
	return nil
}

// widenAffinity lets all threads run on the whole job's CPUs. They were bound to the core of the
// rank that started us, which it would have to share.
func widenAffinity() error {
	set, err := cpus.Allowed()
	if err != nil {
		return fmt.Errorf("executor manager: %w", err)
	}
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return fmt.Errorf("executor manager: finding our threads: %w", err)
	}
	for _, task := range tasks {
		tid, err := strconv.Atoi(task.Name())
		if err != nil {
			continue
		}
		if err := unix.SchedSetaffinity(tid, &set); err != nil && err != unix.ESRCH {
			return fmt.Errorf("executor manager: leaving the core of the rank: %w", err)
		}
	}
	return nil
}
