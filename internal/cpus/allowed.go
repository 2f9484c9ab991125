package cpus

import (
	"errors"
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// Max is how many CPUs an affinity mask of this package has.
const Max = 1024

// Allowed returns the CPUs that this job may use: what the kernel leaves of an affinity of all. The
// affinity that we have is no measure, for mpirun binds a rank and what it starts to one core.
func Allowed() (unix.CPUSet, error) {
	// A thread's affinity is widened for a moment, and then what it was. A thread that ended instead would take
	// along the children that it has started, where the program has them killed at their parent's death (PR_SET_PDEATHSIG):
	// to the kernel the parent is the thread.
	runtime.LockOSThread()
	var before, set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		runtime.UnlockOSThread()
		return set, fmt.Errorf("finding the CPUs of this job: %w", err)
	}
	for cpu := range Max {
		set.Set(cpu)
	}
	err := unix.SchedSetaffinity(0, &set)
	if err == nil {
		set.Zero() // the kernel writes no further than its own mask goes
		err = errors.Join(unix.SchedGetaffinity(0, &set), unix.SchedSetaffinity(0, &before))
	}
	runtime.UnlockOSThread()
	if err != nil {
		return set, fmt.Errorf("finding the CPUs of this job: %w", err)
	}
	return set, nil
}

// List lists the CPUs of a set.
func List(set *unix.CPUSet) []int {
	var list []int
	for cpu := range Max {
		if set.IsSet(cpu) {
			list = append(list, cpu)
		}
	}
	return list
}
