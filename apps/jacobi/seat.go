package main

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/sublet-hpc/sublet/apps/jacobi/report"
	"github.com/sublet-hpc/sublet/internal/cpus"
)

// findSeat tells where this rank runs. It must be called on the thread that computes.
func findSeat() (report.Seat, error) {
	node, err := os.Hostname()
	if err != nil {
		return report.Seat{}, fmt.Errorf("asking for the node's name: %w", err)
	}
	var bound unix.CPUSet
	if err := unix.SchedGetaffinity(0, &bound); err != nil {
		return report.Seat{}, fmt.Errorf("asking which cores this rank is bound to: %w", err)
	}
	// What the job may use is more than what a launcher has bound the rank to.
	allowed, err := cpus.Allowed()
	if err != nil {
		return report.Seat{}, err
	}
	all, err := cpus.Touched(&allowed, cpus.Folder)
	if err != nil {
		return report.Seat{}, err
	}
	own, err := cpus.Touched(&bound, cpus.Folder)
	if err != nil {
		return report.Seat{}, err
	}
	seat := report.Seat{Node: node, Core: -1, Cores: len(all)}
	if len(own) == 1 {
		seat.Core = own[0]
	}
	return seat, nil
}
