package seat

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/sublet-hpc/sublet/internal/cpus"
)

// Seat is where a rank ran.
type Seat struct {
	Node string `json:"node"`
	// Core that the rank was bound to, by the number of its first hardware thread; -1: to none.
	Core int `json:"core"`
	// Cores of its node that the job may use.
	Cores int `json:"cores"`
}

// Place is where an executor ran.
type Place struct {
	Node string
	Core int // -1: not pinned
}

// Find tells where this rank runs. It must be called on the thread that computes.
func Find() (Seat, error) {
	node, err := os.Hostname()
	if err != nil {
		return Seat{}, fmt.Errorf("asking for the node's name: %w", err)
	}
	var bound unix.CPUSet
	if err := unix.SchedGetaffinity(0, &bound); err != nil {
		return Seat{}, fmt.Errorf("asking which cores this rank is bound to: %w", err)
	}
	// What the job may use is more than what a launcher has bound the rank to.
	allowed, err := cpus.Allowed()
	if err != nil {
		return Seat{}, err
	}
	all, err := cpus.Touched(&allowed, cpus.Folder)
	if err != nil {
		return Seat{}, err
	}
	own, err := cpus.Touched(&bound, cpus.Folder)
	if err != nil {
		return Seat{}, err
	}
	seat := Seat{Node: node, Core: -1, Cores: len(all)}
	if len(own) == 1 {
		seat.Core = own[0]
	}
	return seat, nil
}
