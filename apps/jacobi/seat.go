package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/sublet-hpc/sublet/apps/jacobi/report"
)

// findSeat tells where this rank runs. It must be called on the thread that computes.
func findSeat() (report.Seat, error) {
	node, err := os.Hostname()
	if err != nil {
		return report.Seat{}, fmt.Errorf("asking for the node's name: %w", err)
	}
	var bound, allowed unix.CPUSet
	if err := unix.SchedGetaffinity(0, &bound); err != nil {
		return report.Seat{}, fmt.Errorf("asking which cores this rank is bound to: %w", err)
	}
	// What the job may use is more than what a launcher has bound the rank to: ask for all, see
	// what the kernel grants, and go back.
	var all unix.CPUSet
	for cpu := range len(all) * 64 {
		all.Set(cpu)
	}
	if err := unix.SchedSetaffinity(0, &all); err != nil {
		return report.Seat{}, fmt.Errorf("asking which cores this job may use: %w", err)
	}
	err = unix.SchedGetaffinity(0, &allowed)
	if restored := unix.SchedSetaffinity(0, &bound); err == nil {
		err = restored
	}
	if err != nil {
		return report.Seat{}, fmt.Errorf("asking which cores this job may use: %w", err)
	}
	seat := report.Seat{Node: node, Core: -1, Cores: len(coresOf(&allowed))}
	if cores := coresOf(&bound); len(cores) == 1 {
		for core := range cores {
			seat.Core = core
		}
	}
	return seat, nil
}

// coresOf are the cores of a set of hardware threads, each by the number of its first one.
func coresOf(set *unix.CPUSet) map[int]bool {
	cores := map[int]bool{}
	for cpu := range len(set) * 64 {
		if set.IsSet(cpu) {
			cores[firstThread(cpu)] = true
		}
	}
	return cores
}

// firstThread is the lowest-numbered hardware thread of a thread's core.
func firstThread(cpu int) int {
	siblings, err := os.ReadFile(fmt.Sprintf("/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu))
	if err != nil {
		return cpu // a kernel that does not say
	}
	lowest, _, _ := strings.Cut(strings.TrimSpace(string(siblings)), ",") // "0,4" or "0-1"
	lowest, _, _ = strings.Cut(lowest, "-")
	first, err := strconv.Atoi(lowest)
	if err != nil {
		return cpu
	}
	return first
}
