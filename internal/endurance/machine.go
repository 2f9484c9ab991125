package endurance

import (
	"math"
	"runtime"
	"time"

	"github.com/prometheus/procfs"
)

// machine knows what the host of a virtual machine has taken of its processors' time.
type machine struct {
	stolen float64 // seconds of all processors since the machine started
	at     time.Time
}

// stolenSince is the part of the machine's time that was taken since it was last asked; 0 the first time, and
// where the kernel does not tell.
func (m *machine) stolenSince() float64 {
	before := *m
	files, err := procfs.NewDefaultFS()
	if err != nil {
		return 0
	}
	stat, err := files.Stat()
	if err != nil {
		return 0
	}
	m.stolen, m.at = stat.CPUTotal.Steal, time.Now()
	if before.at.IsZero() {
		return 0
	}
	return (m.stolen - before.stolen) / (m.at.Sub(before.at).Seconds() * float64(runtime.NumCPU()))
}

// Host watches what the host of a virtual machine takes of its processors, for comparisons of medians.
type Host struct{ machine machine }

// WatchHost watches from now on.
func WatchHost() *Host {
	h := &Host{}
	h.machine.stolenSince()
	return h
}

const (
	// noise is by how much the ratio of two medians differs from run to run on machines such as these, and noiseRobbed
	// where the host has taken a part of the processors meanwhile.
	noise       = 0.1
	noiseRobbed = 0.5
)

// Noise is what is allowed to the ratio of two medians beside what is promised: 0.1, or 0.5 if the host has taken a part of
// the processors since WatchHost. Where the machine may be busy nothing is promised: it is infinite.
func (h *Host) Noise() float64 {
	switch {
	case !InFull():
		return math.Inf(1)
	case h.machine.stolenSince() > taken:
		return noiseRobbed
	}
	return noise
}
