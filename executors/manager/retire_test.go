package manager

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// Who has started a manager tells it that its allocation ends later, earlier, or never; what is said when it has begun to retire
// comes too late.
func TestTheEndIsSaidAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &Manager{log: slog.New(slog.DiscardHandler), tenants: newTenants()}
		m.pool = newPool(m, 0)
		m.tenants.leases[&lease{}] = false // or it would end at once when it retires
		began := time.Now()
		changes, ended := make(chan time.Time), make(chan struct{})
		var told atomic.Int32
		go func() {
			m.retire(t.Context(), t.Context(), Retirement{Ends: began.Add(time.Hour), Changes: changes, DrainBefore: time.Minute}, func() { told.Add(1) })
			close(ended)
		}()
		expect := func(what string, ends, lendsUntil time.Time, times int32, leaving bool) {
			t.Helper()
			synctest.Wait()
			if o := m.tenants.foreseen(); !o.Ends.Equal(ends) || !o.LendsUntil.Equal(lendsUntil) || told.Load() != times || (o.Leaving != "") != leaving {
				t.Errorf("%s: told %d times, foreseen %+v", what, told.Load(), o)
			}
		}
		changes <- began.Add(3 * time.Hour)
		expect("later", began.Add(3*time.Hour), began.Add(3*time.Hour-time.Minute), 1, false)
		<-time.After(2 * time.Hour)
		expect("long after the end that was", began.Add(3*time.Hour), began.Add(3*time.Hour-time.Minute), 1, false)
		changes <- time.Time{}
		expect("never", time.Time{}, time.Time{}, 2, false)
		<-time.After(4 * time.Hour)
		expect("after all ends that were", time.Time{}, time.Time{}, 2, false)
		soon := time.Now().Add(90 * time.Second)
		changes <- soon
		expect("soon", soon, soon.Add(-45*time.Second), 3, false)
		<-time.After(45 * time.Second)
		expect("when it retires", soon, soon.Add(-45*time.Second), 4, true)
		changes <- soon.Add(time.Hour)
		expect("too late", soon, soon.Add(-45*time.Second), 4, true)
		<-ended
		if at := time.Now(); !at.Equal(soon.Add(-lastMoment)) {
			t.Errorf("it has ended %v before its allocation", soon.Sub(at))
		}
	})
}

// An allocation that was made longer is lent for as long as that.
func TestAllocationIsMadeLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &Manager{log: slog.New(slog.DiscardHandler), tenants: newTenants()}
		done, end := context.WithCancel(t.Context())
		began := time.Now()
		var asked, told atomic.Int32
		look := func(context.Context) (time.Time, error) {
			if asked.Add(1) > 1 {
				return time.Time{}, errors.New("slurmctld is away")
			}
			return began.Add(3 * time.Hour), nil
		}
		ended := make(chan struct{})
		go func() {
			m.retire(t.Context(), done, Retirement{Ends: began.Add(time.Hour), LookUpEnds: look, DrainBefore: time.Minute}, func() { told.Add(1) })
			close(ended)
		}()
		pass := func(span time.Duration) { // of the bubble's clock
			<-time.After(span)
			synctest.Wait()
		}
		pass(time.Hour - time.Minute - lookAgainBefore*3/2 - time.Second)
		if asked.Load() != 0 {
			t.Errorf("asked %d times long before the end", asked.Load())
		}
		pass(lookAgainBefore)
		if o := m.tenants.foreseen(); asked.Load() != 1 || told.Load() != 1 || o.Leaving != "" || !o.Ends.Equal(began.Add(3*time.Hour)) || !o.LendsUntil.Equal(began.Add(3*time.Hour-time.Minute)) {
			t.Errorf("asked %d times, told %d times, foreseen %+v", asked.Load(), told.Load(), o)
		}
		pass(2*time.Hour - 2*time.Second) // nobody answers this time
		if o := m.tenants.foreseen(); asked.Load() != 2 || told.Load() != 1 || o.Leaving != "" || !o.Ends.Equal(began.Add(3*time.Hour)) {
			t.Errorf("asked %d times, told %d times, foreseen %+v", asked.Load(), told.Load(), o)
		}
		end()
		<-ended
	})
}
