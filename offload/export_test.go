package offload

import (
	"context"
	"testing"
	"time"

	"github.com/sublet-hpc/sublet/internal/fabric"
)

// Tamper has a function called with every client before it is used, until the test is over.
func Tamper(t testing.TB, tamper func(*fabric.Client)) {
	SetTampering(tamper)
	t.Cleanup(func() { SetTampering(nil) })
}

// SetTampering is Tamper until the next call; nil: nothing more is called.
func SetTampering(tamper func(*fabric.Client)) {
	if tamper == nil {
		tampering.Store(nil)
		return
	}
	tampering.Store(&tamper)
}

// Pending tells whether an invocation has not ended.
func (f Future) Pending() bool {
	i := f.invocation
	if !i.enter(f.use) {
		return false
	}
	defer i.leave(0)
	return !i.hasEnded()
}

// Busy tells whether something is in flight on the executor.
func (e *Executor) Busy() bool {
	c := e.current.Load()
	return c != nil && c.load.Load() > 0
}

// InvokeLate is Lease.Invoke by somebody who has chosen this executor before it ended, and sends after.
func (e *Executor) InvokeLate(ctx context.Context, end func(), name string, in, out Payload) Future {
	c := e.current.Load()
	end()
	<-c.gone
	f := e.lease.prepare(name, in, out, nil)
	future := f.future()
	f.ctx, f.anywhere = ctx, true
	f.send(c)
	return future
}

// Hurry has executors doubted four times as soon, until the test is over: what is waited for is the same. It
// comes before the session, which looks until it is closed. The usual times are those of TestDoubt.
func Hurry(t testing.TB) {
	usual := usualStallTimes
	otherTimes.Store(&stallTimes{interval: usual.interval / hurry, most: usual.most / hurry, answer: usual.answer / hurry, end: usual.end / hurry})
	t.Cleanup(func() { otherTimes.Store(nil) })
}

const hurry = 4

// Trust has silent executors believed for two minutes, until the test is over: what ends them sooner is something else.
// It comes before the session.
func Trust(t testing.TB) {
	times := usualStallTimes
	times.answer = time.Minute
	otherTimes.Store(&times)
	t.Cleanup(func() { otherTimes.Store(nil) })
}

// GivenUpAfter is how long an executor is silent, at most, before it is given up: it is asked twice.
func GivenUpAfter() time.Duration { return 3*stalls().interval + 2*stalls().answer }
