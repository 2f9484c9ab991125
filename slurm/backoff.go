package slurm

import (
	"math/rand/v2"
	"time"
)

const (
	firstPause = time.Second
	maxPause   = time.Minute
)

// backoff is how long a command is left alone after it has failed: twice as long each time, and up to a fifth more, so
// that many who lost the same controller do not come back at once.
type backoff struct {
	failures int       // in a row
	since    time.Time // the first of them
	until    time.Time
	last     *Error
	refused  string // what Slurm said when it refused the last call; "" if it did not
}

// failed notes a failure, and says until when the command is left alone.
func (b *backoff) failed(err *Error, now time.Time) time.Time {
	if b.failures == 0 {
		b.since = now
	}
	pause := maxPause
	if b.failures < 6 {
		pause = min(firstPause<<b.failures, maxPause)
	}
	b.failures++
	b.until = now.Add(pause + rand.N(pause/5))
	b.last = err
	return b.until
}

// answered notes that Slurm has answered, though it may have refused.
func (b *backoff) answered(refusal *Error) {
	*b = backoff{}
	if refusal != nil {
		b.refused = refusal.Detail
	}
}
