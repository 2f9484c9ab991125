package cpus

import (
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// Max is how many CPUs an affinity mask of this package has.
const Max = 1024

// Allowed returns the CPUs that this job may use: what the kernel leaves of an affinity of all. The
// affinity that we have is no measure, for mpirun binds a rank and what it starts to one core.
func Allowed() (unix.CPUSet, error) {
	type result struct {
		set unix.CPUSet
		err error
	}
	done := make(chan result)
	go func() {
		runtime.LockOSThread() // the thread, with its changed affinity, ends with this goroutine
		var r result
		for cpu := range Max {
			r.set.Set(cpu)
		}
		if r.err = unix.SchedSetaffinity(0, &r.set); r.err == nil {
			r.set.Zero() // the kernel writes no further than its own mask goes
			r.err = unix.SchedGetaffinity(0, &r.set)
		}
		done <- r
	}()
	r := <-done
	if r.err != nil {
		return r.set, fmt.Errorf("finding the CPUs of this job: %w", r.err)
	}
	return r.set, nil
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
