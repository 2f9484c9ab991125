package manager

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// maxCPUs is how many CPUs an affinity mask of this package has.
const maxCPUs = 1024

// core is a whole physical core.
type core struct {
	ID   int   // its lowest CPU
	CPUs []int // its hardware threads, ascending
}

// cpuset returns the CPUs that this job may use: what the kernel leaves of an affinity of all. The
// affinity that we have is no measure, for mpirun binds a rank and what it starts to one core.
func cpuset() (unix.CPUSet, error) {
	type result struct {
		set unix.CPUSet
		err error
	}
	done := make(chan result)
	go func() {
		runtime.LockOSThread() // the thread, with its changed affinity, ends with this goroutine
		var r result
		for cpu := range maxCPUs {
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
		return r.set, fmt.Errorf("executor manager: finding the CPUs of this job: %w", r.err)
	}
	return r.set, nil
}

const cpuFolder = "/sys/devices/system/cpu"

// physicalCores groups the CPUs of a set into whole cores. partial are the CPUs whose core has
// hardware threads outside the set: somebody else computes there.
func physicalCores(set *unix.CPUSet, folder string) (cores []core, partial []int, err error) {
	for cpu := range maxCPUs {
		if !set.IsSet(cpu) {
			continue
		}
		siblings, err := siblingsOf(cpu, folder)
		if err != nil {
			return nil, nil, err
		}
		whole := true
		for _, sibling := range siblings {
			whole = whole && sibling < maxCPUs && set.IsSet(sibling)
		}
		switch {
		case !whole:
			partial = append(partial, cpu)
		case siblings[0] == cpu:
			cores = append(cores, core{ID: cpu, CPUs: siblings})
		}
	}
	return cores, partial, nil
}

// siblingsOf are the hardware threads of a CPU's core, itself included, ascending.
func siblingsOf(cpu int, folder string) ([]int, error) {
	path := filepath.Join(folder, "cpu"+strconv.Itoa(cpu), "topology", "thread_siblings_list")
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return []int{cpu}, nil // kernels without topology have no hardware threads
	}
	if err != nil {
		return nil, fmt.Errorf("executor manager: finding the hardware threads of CPU %d: %w", cpu, err)
	}
	siblings, err := parseCPUs(strings.TrimSpace(string(text)))
	if err != nil || len(siblings) == 0 {
		return nil, fmt.Errorf("executor manager: %s says %q, which is no list of CPUs", path, text)
	}
	return siblings, nil
}

// parseCPUs reads Linux's lists: 0-3,8.
func parseCPUs(list string) ([]int, error) {
	var cpus []int
	for part := range strings.SplitSeq(list, ",") {
		from, to, isRange := strings.Cut(part, "-")
		first, err := strconv.Atoi(from)
		if err != nil {
			return nil, err
		}
		last := first
		if isRange {
			if last, err = strconv.Atoi(to); err != nil {
				return nil, err
			}
		}
		if first < 0 || last < first || last >= 1<<16 {
			return nil, fmt.Errorf("the range %q", part)
		}
		for cpu := first; cpu <= last; cpu++ {
			cpus = append(cpus, cpu)
		}
	}
	return cpus, nil
}

// cpusOf lists the CPUs of a set.
func cpusOf(set *unix.CPUSet) []int {
	var cpus []int
	for cpu := range maxCPUs {
		if set.IsSet(cpu) {
			cpus = append(cpus, cpu)
		}
	}
	return cpus
}
