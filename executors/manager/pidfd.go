package manager

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// openProcess opens a pidfd that can be waited on.
func openProcess(pid int) (*os.File, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil, fmt.Errorf("opening process %d: %w", pid, err)
	}
	return pidfdFile(fd, pid)
}

// pidfdFile makes a file of a pidfd for which a goroutine, not a thread, can wait.
func pidfdFile(fd, pid int) (*os.File, error) {
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("the pidfd of process %d: %w", pid, err)
	}
	return os.NewFile(uintptr(fd), fmt.Sprintf("pidfd of %d", pid)), nil
}

// waitExit returns when the process of a pidfd has exited, or with os.ErrClosed when the file has
// been closed before.
func waitExit(pidfd *os.File) error {
	raw, err := pidfd.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Read(func(fd uintptr) bool {
		var exited bool
		exited, failed = isReadable(int(fd))
		return exited || failed != nil
	})
	if err != nil {
		return err
	}
	return failed
}

func isReadable(fd int) (bool, error) {
	poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(poll, 0)
		if err != unix.EINTR {
			return n > 0, err
		}
	}
}
