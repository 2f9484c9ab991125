package endurance

import (
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
