package offload

import (
	"fmt"
	"sync"
	"time"
)

// limit is a lease's time limit. The managers of its executors see to it, each on its own, and say so; here is
// noted that it is over, so that nobody asks for other executors, and how much time those have that take the
// place of lost ones.
type limit struct {
	mu     sync.Mutex
	until  time.Time // zero: there is no limit, or the lease begins just now
	reason string    // empty: it is not over
}

// start is for when the lease has begun.
func (l *limit) start(after time.Duration) {
	if after <= 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.until = time.Now().Add(after)
}

// left is how much of a limit is left for executors that are asked for now; 0: there is no limit.
func (l *limit) left(of time.Duration) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.until.IsZero() {
		return of
	}
	return max(time.Until(l.until), 1)
}

// end notes that a manager has ended the lease.
func (l *limit) end(reason string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reason = reason
}

// over says why the lease has no executors and gets no others; empty: it is not over.
func (l *limit) over(of time.Duration) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.reason == "" && !l.until.IsZero() && !time.Now().Before(l.until) { // they were lost before
		l.reason = fmt.Sprintf("the time limit of its lease, %v, is over", of)
	}
	return l.reason
}

// overText is the reason, and which option it is.
func overText(reason string) string { return reason + " (Want.TimeLimit)" }
