package executor

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/sublet-hpc/sublet/internal/control"
)

// prepare does what can be done before there is a lease, and says so.
func (e *executor) prepare(libfabric bool) error {
	e.fabric.Provision()
	if libfabric {
		e.fabric.PreloadLibfabric()
	}
	return e.conn.Send(control.TypeReady, 0, 0, nil)
}

// become makes a spare what it would be, had it been started for the lease: where it prints to, what its
// environment is, where it runs. A process that was started for its lease is told nothing of that.
//
// Its command line stays that of a spare, and so does /proc/self/environ.
func become(start *control.Start, frame *control.Frame) error {
	if start.Output {
		if len(frame.Files) == 0 {
			return &control.ProtocolError{Reason: "a start without the output of functions"}
		}
		output := int(frame.Files[0].Fd())
		for _, fd := range []int{unix.Stdout, unix.Stderr} {
			if err := unix.Dup3(output, fd, 0); err != nil {
				return fmt.Errorf("executor: the output of functions: %w", err)
			}
		}
	}
	for _, variable := range start.Environment {
		name, value, _ := strings.Cut(variable, "=")
		if err := os.Setenv(name, value); err != nil { // also C's environment
			return fmt.Errorf("executor: the lease's variable %q: %w", variable, err)
		}
	}
	if len(start.CPUs) == 0 {
		return nil
	}
	return pin(start.CPUs)
}

// content is the library, if it came with the start; nil: it is read from its path.
func content(start *control.Start, frame *control.Frame) (*os.File, error) {
	if !start.Content {
		return nil, nil
	}
	if len(frame.Files) == 0 {
		return nil, &control.ProtocolError{Reason: "a start without the function library"}
	}
	last := len(frame.Files) - 1
	library := frame.Files[last]
	frame.Files = frame.Files[:last]
	return library, nil
}

// pin has all threads run on some CPUs. A thread that one of them starts meanwhile is found the next
// time that they are listed; those of a thread that has been pinned are where it is.
func pin(cpus []int) error {
	var set unix.CPUSet
	for _, cpu := range cpus {
		set.Set(cpu)
	}
	pinned := map[int]bool{}
	for found := true; found; {
		found = false
		tasks, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return fmt.Errorf("executor: finding its threads: %w", err)
		}
		for _, task := range tasks {
			tid, err := strconv.Atoi(task.Name())
			if err != nil || pinned[tid] {
				continue
			}
			if err := unix.SchedSetaffinity(tid, &set); err != nil && err != unix.ESRCH {
				return fmt.Errorf("executor: pinning to CPUs %v: %w", cpus, err)
			}
			pinned[tid], found = true, true
		}
	}
	return nil
}
