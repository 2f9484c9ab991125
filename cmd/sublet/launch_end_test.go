package main

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// Slurm is asked every half minute, and once more before the nodes take no new leases.
func TestWhenSlurmIsAskedForTheEnd(t *testing.T) {
	now := time.Unix(1800000000, 0)
	for _, c := range []struct {
		end  allocationEnd
		want time.Duration
	}{
		{allocationEnd{}, endInterval},
		{allocationEnd{known: true}, endInterval},
		{allocationEnd{known: true, at: now.Add(time.Hour)}, endInterval},
		{allocationEnd{known: true, at: now.Add(time.Minute + lastAsk + 20*time.Second)}, 20 * time.Second},
		{allocationEnd{known: true, at: now.Add(time.Minute)}, endInterval},
	} {
		if got := c.end.pause(now, time.Minute); got != c.want {
			t.Errorf("%+v: %v, want %v", c.end, got, c.want)
		}
	}
}

// Slurm's answer changes, and fails for a while: managers are told of each change once.
func TestChangedEndIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var mu sync.Mutex // for the race detector, which does not see that they take turns
		said, wrong := began.Add(time.Hour), error(nil)
		ask := func(context.Context) (time.Time, error) {
			mu.Lock()
			defer mu.Unlock()
			return said, wrong
		}
		says := func(ends time.Time, err error) {
			mu.Lock()
			said, wrong = ends, err
			mu.Unlock()
			<-time.After(3 * endInterval)
			synctest.Wait()
		}
		end := allocationEnd{known: true, at: said, ask: ask}
		var told []time.Time
		ctx, stop := context.WithCancel(t.Context())
		watched := make(chan struct{})
		go func() {
			end.watch(ctx, time.Minute, slog.New(slog.DiscardHandler), func(ends time.Time) error { told = append(told, ends); return nil })
			close(watched)
		}()
		says(began.Add(time.Hour), nil)
		says(began.Add(2*time.Hour), nil)
		says(began.Add(3*time.Hour), errors.New("slurmctld is away"))
		says(began.Add(3*time.Hour), nil)
		says(time.Time{}, nil) // never
		stop()
		<-watched
		if want := []time.Time{began.Add(2 * time.Hour), began.Add(3 * time.Hour), {}}; !slices.EqualFunc(told, want, time.Time.Equal) {
			t.Errorf("told of %v, want %v", told, want)
		}
	})
}
