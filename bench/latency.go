package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/sublet-hpc/sublet/bench/record"
)

// Latency measures round trips of each size, in turns with the baselines.
func Latency(ctx context.Context, o *Options) (*record.Run, error) {
	for _, baseline := range o.Baselines {
		if o.InFlight > 1 && baseline != Raw && baseline != Smallest {
			return nil, fmt.Errorf("--baseline %s with --inflight: it has one operation at a time; leave one of them out", baseline)
		}
	}
	s, err := openStage(ctx, o, 1, o.hotTimeout())
	if err != nil {
		return nil, err
	}
	for i, size := range o.Sizes {
		err = s.sweep(ctx, size, i, func() ([]contestant, error) { return s.latencyContestants(ctx, size) })
		if err != nil {
			break
		}
	}
	run, err := s.finish(ctx, err)
	if err != nil || !o.has(MPI) {
		return run, err
	}
	if err := mpiLatency(ctx, o, run); ctx.Err() != nil {
		run.Interrupted()
		return run, ctx.Err()
	} else if err != nil {
		return nil, err
	}
	return run, nil
}

// sweep has the contestants for one size take their turns.
func (s *stage) sweep(ctx context.Context, size, index int, open func() ([]contestant, error)) (err error) {
	contestants, err := open()
	defer func() {
		for _, c := range contestants {
			if closed := c.close(); ctx.Err() == nil { // else executors may still have what it would free
				err = errors.Join(err, closed)
			}
		}
	}()
	if err != nil {
		return err
	}
	return s.compete(ctx, contestants, s.options.plan(size), fmt.Sprintf("%d bytes", size), index, len(s.options.Sizes))
}

func (s *stage) latencyContestants(ctx context.Context, size int) ([]contestant, error) {
	var contestants []contestant
	enter := func(c contestant, err error) error {
		if err == nil {
			contestants = append(contestants, c)
		}
		return err
	}
	calls, err := newCalls(s, size)
	if err = enter(calls, err); err != nil {
		return contestants, err
	}
	for _, baseline := range s.options.Baselines {
		var c contestant
		switch baseline {
		case Raw:
			c, err = newRaw(ctx, s, size, s.options.plan(size))
		case TCP, HTTP:
			c, err = newSocket(s, baseline, size)
		case Invoke:
			c, err = newInvokes(s, size)
		case Smallest:
			c, err = newSmallest(s, size)
		default:
			continue
		}
		if err = enter(c, err); err != nil {
			return contestants, fmt.Errorf("--baseline %s: %w", baseline, err)
		}
	}
	return contestants, nil
}

// newInvokes are Sublet's other way.
func newInvokes(s *stage, size int) (contestant, error) {
	c, err := newCalls(s, size)
	if err != nil {
		return nil, err
	}
	c.apart, c.result.Name = true, Invoke
	return c, nil
}

// newSmallest is Sublet with the smallest payload, for what a larger one costs beyond it.
func newSmallest(s *stage, size int) (contestant, error) {
	c, err := newCalls(s, slices.Min(s.options.Sizes))
	if err != nil {
		return nil, err
	}
	c.result.Name, c.result.Against = Smallest, size
	return c, nil
}
