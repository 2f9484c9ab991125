package cpus

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Folder is where the kernel describes its CPUs.
const Folder = "/sys/devices/system/cpu"

// Core is a whole physical core.
type Core struct {
	ID   int   // its lowest CPU
	CPUs []int // its hardware threads, ascending
}

// Physical groups the CPUs of a set into whole cores. partial are the CPUs whose core has
// hardware threads outside the set: somebody else computes there.
func Physical(set *unix.CPUSet, folder string) (cores []Core, partial []int, err error) {
	for cpu := range Max {
		if !set.IsSet(cpu) {
			continue
		}
		siblings, err := siblingsOf(cpu, folder)
		if err != nil {
			return nil, nil, err
		}
		whole := true
		for _, sibling := range siblings {
			whole = whole && sibling < Max && set.IsSet(sibling)
		}
		switch {
		case !whole:
			partial = append(partial, cpu)
		case siblings[0] == cpu:
			cores = append(cores, Core{ID: cpu, CPUs: siblings})
		}
	}
	return cores, partial, nil
}

// Touched are the cores that a set has at least one hardware thread of, by their lowest CPUs.
func Touched(set *unix.CPUSet, folder string) ([]int, error) {
	var ids []int
	for _, cpu := range List(set) {
		siblings, err := siblingsOf(cpu, folder)
		if err != nil {
			return nil, err
		}
		ids = append(ids, siblings[0])
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

// siblingsOf are the hardware threads of a CPU's core, itself included, ascending.
func siblingsOf(cpu int, folder string) ([]int, error) {
	path := filepath.Join(folder, "cpu"+strconv.Itoa(cpu), "topology", "thread_siblings_list")
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return []int{cpu}, nil // kernels without topology have no hardware threads
	}
	if err != nil {
		return nil, fmt.Errorf("finding the hardware threads of CPU %d: %w", cpu, err)
	}
	siblings, err := Parse(strings.TrimSpace(string(text)))
	if err != nil || len(siblings) == 0 {
		return nil, fmt.Errorf("%s says %q, which is no list of CPUs", path, text)
	}
	return siblings, nil
}

// Parse reads Linux's lists: 0-3,8.
func Parse(list string) ([]int, error) {
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
