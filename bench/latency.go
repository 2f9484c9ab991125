package bench

import (
	"context"
	"errors"
	"fmt"

	"github.com/sublet-hpc/sublet/bench/record"
)

// Latency measures round trips of each size, in turns with the baselines.
func Latency(ctx context.Context, o *Options) (*record.Run, error) {
	if o.InFlight > 1 && len(o.Baselines) > 0 {
		return nil, errors.New("--baseline with --inflight: the baselines have one operation at a time; leave one of them out")
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
			apart, failed := newCalls(s, size)
			if failed == nil {
				apart.apart, apart.result.Name = true, Invoke
			}
			c, err = apart, failed
		default:
			continue
		}
		if err = enter(c, err); err != nil {
			return contestants, fmt.Errorf("--baseline %s: %w", baseline, err)
		}
	}
	return contestants, nil
}
