package manager

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"
)

// A report is due after the interval that the resource manager has asked for last, earlier if there is news, and
// soon where it could not be sent; news does not hurry that.
func TestRestBetweenReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		changes := make(chan struct{}, 1)
		d := &daemon{log: slog.New(slog.DiscardHandler), changes: changes}
		rested := func(away bool) time.Duration {
			began := time.Now()
			d.rest(t.Context(), away)
			return time.Since(began)
		}
		for _, interval := range []time.Duration{time.Second, 10 * time.Second, time.Second} {
			d.pace(interval)
			if took := rested(false); took != interval {
				t.Errorf("a report after %v, every %v were asked for", took, interval)
			}
		}
		d.pace(0)
		if took := rested(false); took != minInterval {
			t.Errorf("a report after %v", took)
		}
		d.pace(time.Minute)
		if took := rested(true); took != retryInterval {
			t.Errorf("the next attempt after %v", took)
		}
		time.AfterFunc(3*time.Second, func() { changes <- struct{}{} })
		if took := rested(false); took != 3*time.Second {
			t.Errorf("news is reported after %v", took-3*time.Second)
		}
		changes <- struct{}{}
		if took := rested(true); took != retryInterval {
			t.Errorf("with news the next attempt after %v", took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		<-changes
		began := time.Now()
		d.rest(ctx, false)
		if took := time.Since(began); took != time.Second {
			t.Errorf("the end is noticed after %v", took)
		}
	})
}
