package pollable

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// New makes a file of a descriptor, which it takes, and makes non-blocking.
func New(fd int, name string) (*os.File, error) {
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, errors.Join(fmt.Errorf("making %s non-blocking: %w", name, err), unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), name), nil
}

// Copy makes a file of a copy of a descriptor. The original is non-blocking from then on, too.
func Copy(fd int, name string) (*os.File, error) {
	duplicate, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("copying the descriptor of %s: %w", name, err)
	}
	return New(duplicate, name)
}

// FromFile makes a file of one that may not be pollable, and closes that.
func FromFile(file *os.File) (made *os.File, err error) {
	defer file.Close()
	raw, err := file.SyscallConn()
	if err != nil {
		return nil, err
	}
	if controlErr := raw.Control(func(fd uintptr) { made, err = Copy(int(fd), file.Name()) }); controlErr != nil {
		return nil, controlErr
	}
	return made, err
}

// Process opens the pidfd of a process: it is readable when the process has exited.
func Process(pid int) (*os.File, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil, fmt.Errorf("opening process %d: %w", pid, err)
	}
	return New(fd, fmt.Sprintf("pidfd of %d", pid))
}

// Readable tells whether Wait would return at once.
func Readable(file *os.File) (readable bool, err error) {
	raw, err := file.SyscallConn()
	if err != nil {
		return false, err
	}
	if controlErr := raw.Control(func(fd uintptr) { readable, err = isReadable(int(fd)) }); controlErr != nil {
		return false, controlErr
	}
	return readable, err
}

// Wait returns when the file is readable, or with an error when it is closed meanwhile.
func Wait(file *os.File) error {
	raw, err := file.SyscallConn()
	if err != nil {
		return err
	}
	var pollErr error
	err = raw.Read(func(fd uintptr) bool {
		var readable bool
		readable, pollErr = isReadable(int(fd))
		return readable || pollErr != nil
	})
	if err != nil {
		return err
	}
	return pollErr
}

// Nap is Wait, but at most for that long, which is no error; 0: for ever.
func Nap(file *os.File, nap time.Duration) error {
	if nap == 0 {
		return Wait(file)
	}
	if err := file.SetReadDeadline(time.Now().Add(nap)); err != nil {
		return err
	}
	err := Wait(file)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = nil
	}
	return errors.Join(err, file.SetReadDeadline(time.Time{}))
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
