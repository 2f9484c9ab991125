package outcome

import "time"

// Pace is how often progress is shown: a bar on a terminal moves ten times a second, elsewhere a line comes every 5 seconds.
type Pace struct {
	every time.Duration
	shown time.Time
}

// NewPace returns the pace of what begins now.
func NewPace(terminal bool) Pace {
	every := 5 * time.Second
	if terminal {
		every = 100 * time.Millisecond
	}
	return Pace{every, time.Now()}
}

// Due tells whether it is time to show something, and takes it that this is done.
func (p *Pace) Due() bool {
	now := time.Now()
	if now.Sub(p.shown) < p.every {
		return false
	}
	p.shown = now
	return true
}
