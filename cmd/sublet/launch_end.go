package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/sublet-hpc/sublet/launcher"
	"github.com/sublet-hpc/sublet/slurm"
)

const (
	// askPatience is how long Slurm may take to say when the allocation ends: managers are not kept waiting by it.
	askPatience = 2 * time.Second
	// endInterval is how often Slurm is asked whether that has changed: for all nodes at once, and for this job alone, which costs
	// slurmctld next to nothing.
	endInterval = 30 * time.Second
	// lastAsk is how long before the nodes take no new leases it is asked once more.
	lastAsk = 10 * time.Second
)

// allocationEnd is when an allocation ends, as Slurm has said it last. Slurm is asked by the launcher, and not by every manager.
type allocationEnd struct {
	ask   func(context.Context) (time.Time, error)
	known bool
	at    time.Time // zero: never
}

// first is the end at the beginning, as --ends of executor managers has it. Where Slurm does not answer they ask for themselves, until it does.
func (e *allocationEnd) first(ctx context.Context, allocation slurm.Allocation, client *slurm.Client) string {
	e.ask = func(ctx context.Context) (time.Time, error) { return client.Ends(ctx, allocation.Job) }
	e.at, e.known = allocation.Ends, !allocation.Ends.IsZero()
	if !e.known {
		asking, cancel := context.WithTimeout(ctx, askPatience)
		defer cancel()
		ends, err := e.ask(asking)
		if err != nil {
			return ""
		}
		e.at, e.known = ends, true
	}
	return launcher.FormatEnds(e.at)
}

// watch tells whoever is to know of each change, until ctx ends. What Slurm does not answer its client logs; then what was known counts.
func (e *allocationEnd) watch(ctx context.Context, drainBefore time.Duration, log *slog.Logger, tell func(ends time.Time) error) {
	for {
		select {
		case <-time.After(e.pause(time.Now(), drainBefore)):
		case <-ctx.Done():
			return
		}
		ends, err := e.ask(ctx)
		if err != nil || e.known && ends.Equal(e.at) {
			continue
		}
		if e.known {
			log.Info("Slurm says that the allocation ends at another time", "ends", launcher.FormatEnds(ends), "before", launcher.FormatEnds(e.at))
		}
		e.at, e.known = ends, true
		if err := tell(ends); err != nil {
			log.Warn("not all executor managers know when the allocation ends", "error", err)
		}
	}
}

// pause is for how long not to ask: an interval, or less if the nodes are to take no new leases before the next one has passed.
func (e *allocationEnd) pause(now time.Time, drainBefore time.Duration) time.Duration {
	if !e.known || e.at.IsZero() {
		return endInterval
	}
	left := e.at.Add(-drainBefore - lastAsk).Sub(now)
	if left <= 0 || left > endInterval {
		return endInterval
	}
	return left
}
