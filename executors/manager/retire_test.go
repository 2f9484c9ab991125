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
