package atomicfile

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// OpenDescriptor opens what a path stands for if that is a descriptor of this process, as /dev/stdout and /dev/fd/3
// are, and else returns nil. Such a file must not be replaced, not even a regular one: who has opened it goes on
// writing to the old one, and who replaced the link would take /dev/stdout from everybody. What is written goes
// where the descriptor's next bytes go.
func OpenDescriptor(path string) (*os.File, error) {
	number, is := descriptor(path)
	if !is {
		return nil, nil
	}
	copied, err := unix.FcntlInt(uintptr(number), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return os.NewFile(uintptr(copied), path), nil
}

// IsDescriptor tells whether a path stands for a descriptor of this process.
func IsDescriptor(path string) bool {
	_, is := descriptor(path)
	return is
}

// descriptor follows links one by one: at the end of all, a descriptor's link is the file that it has open.
func descriptor(path string) (number int, is bool) {
	own := fmt.Sprintf("/proc/%d/fd", os.Getpid())
	for range 40 { // as many as the kernel follows
		directory, err := filepath.EvalSymlinks(filepath.Dir(path))
		if err != nil {
			return 0, false
		}
		path = filepath.Join(directory, filepath.Base(path))
		target, err := os.Readlink(path)
		if err != nil {
			return 0, false
		}
		if directory == own {
			number, err = strconv.Atoi(filepath.Base(path))
			return number, err == nil
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(directory, target)
		}
		path = target
	}
	return 0, false
}
