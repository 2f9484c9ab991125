package server

import "time"

const (
	// Interval is how often managers are to be heard of, as long as there are few of them.
	Interval = time.Second
	// beatsPerSecond is how many reports without news there are at most, of all managers together.
	beatsPerSecond = 100
	// silences is how many intervals a manager can be silent before it is written off.
	silences = 3
	// Silence is when managers are written off, as long as there are few of them.
	Silence = silences * Interval
)

// intervalFor is how often each of so many managers is to be heard of.
func intervalFor(managers int) time.Duration {
	return max(Interval, time.Duration(managers)*time.Second/beatsPerSecond)
}

// silence is when a manager is written off that was told to report so often.
func silence(interval time.Duration) time.Duration { return silences * interval }

// lasting is how long a lease lasts that a manager renews which reports so often. It is longer than
// the manager can be silent: what ends the lease of a silent manager is that it is written off.
func lasting(interval time.Duration) time.Duration { return max(TTL, 2*silence(interval)) }
