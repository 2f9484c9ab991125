package offload

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// pollable makes a file of a copy of a descriptor, for waiting in a goroutine rather than a
// thread. It changes the original to non-blocking.
func pollable(fd int, name string) (*os.File, error) {
	duplicate, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("copying the descriptor of %s: %w", name, err)
	}
	if err := unix.SetNonblock(duplicate, true); err != nil {
		unix.Close(duplicate)
		return nil, fmt.Errorf("making %s non-blocking: %w", name, err)
	}
	return os.NewFile(uintptr(duplicate), name), nil
}

// pollableFile is pollable for a file that is not needed any more.
func pollableFile(file *os.File) (made *os.File, err error) {
	defer file.Close()
	raw, err := file.SyscallConn()
	if err != nil {
		return nil, err
	}
	if controlErr := raw.Control(func(fd uintptr) { made, err = pollable(int(fd), file.Name()) }); controlErr != nil {
		return nil, controlErr
	}
	return made, err
}

// isReadableFile tells whether waitReadable would return at once.
func isReadableFile(file *os.File) (readable bool, err error) {
	raw, err := file.SyscallConn()
	if err != nil {
		return false, err
	}
	if controlErr := raw.Control(func(fd uintptr) { readable, err = isReadable(int(fd)) }); controlErr != nil {
		return false, controlErr
	}
	return readable, err
}

// napReadable is waitReadable, but at most for that long; 0: for ever.
func napReadable(file *os.File, nap time.Duration) error {
	if nap == 0 {
		return waitReadable(file)
	}
	if err := file.SetReadDeadline(time.Now().Add(nap)); err != nil {
		return err
	}
	err := waitReadable(file)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = nil
	}
	return errors.Join(err, file.SetReadDeadline(time.Time{}))
}

// waitReadable returns when the file is readable, or with os.ErrClosed when it is closed meanwhile.
func waitReadable(file *os.File) error {
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

func isReadable(fd int) (bool, error) {
	poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(poll, 0)
		if err != unix.EINTR {
			return n > 0, err
		}
	}
}
