package bench

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/sublet-hpc/sublet/bench/record"
	"github.com/sublet-hpc/sublet/internal/fabric"
	"github.com/sublet-hpc/sublet/internal/fabric/floor"
	"github.com/sublet-hpc/sublet/offload"
)

// batch is how many invocations a sample of throughput is the time of: one alone takes less than it
// takes to look at the clock.
const batch = 64

// Throughput measures how many empty invocations 1, 2, ... executors answer in a second. Each has a
// goroutine that keeps as many in flight as were asked for, by CallAll.
func Throughput(ctx context.Context, o *Options) (*record.Run, error) {
	if o.Mode == Warm {
		return nil, errors.New("--mode warm: executors that always have something to do do not sleep; leave it out")
	}
	for _, b := range o.Baselines {
		if b != Raw {
			return nil, fmt.Errorf("--baseline %s: throughput is compared with raw only", b)
		}
	}
	s, err := openStage(ctx, o, o.Executors, o.hotTimeout())
	if err != nil {
		return nil, err
	}
	if o.has(Raw) && s.lease.Path().Transport != fabric.Ring {
		return s.finish(ctx, fmt.Errorf("--baseline raw: the floor of throughput is that of the ring, and the executors are reached by %s; leave it out", s.lease.Path().Transport))
	}
	p := o.plan(0)
	if o.Repetitions == 0 {
		p.count *= 50 // they are short
		if o.Warmup < 0 {
			p.warmup = p.count
		}
	}
	contestants, err := s.floods(p)
	if err == nil {
		err = s.compete(ctx, contestants, p, fmt.Sprintf("1 to %d executors", o.Executors), 0, 1)
	}
	for _, c := range contestants {
		if closed := c.close(); ctx.Err() == nil {
			err = errors.Join(err, closed)
		}
	}
	return s.finish(ctx, err)
}

// floods are the contestants for 1, 2, ... executors.
func (s *stage) floods(p plan) ([]contestant, error) {
	o := s.options
	var contestants []contestant
	for n := 1; n <= o.Executors; n++ {
		f := &flood{stage: s, executors: s.lease.Executors()[:n], result: s.series(record.Throughput, record.Sublet, 0)}
		f.result.Executors, f.result.InFlight, f.result.Operations = n, o.InFlight, batch
		contestants = append(contestants, f)
		if !o.has(Raw) {
			continue
		}
		result := s.series(record.Throughput, Raw, 0)
		result.Executors, result.Operations = n, batch
		raw, err := newPairs(s, result, p.capacity(), batch)
		if err != nil {
			return contestants, fmt.Errorf("--baseline raw: %w", err)
		}
		contestants = append(contestants, raw)
	}
	return contestants, nil
}

// flood is some executors with more to do than they can.
type flood struct {
	stage     *stage
	executors []*offload.Executor
	result    *record.Series
}

func (f *flood) series() *record.Series { return f.result }

func (f *flood) close() error { return nil }

func (f *flood) block(ctx context.Context, count int) (record.Block, error) {
	batches := max(1, count/batch)
	samples := make([][]int64, len(f.executors))
	var all errgroup.Group
	began := now()
	for i, executor := range f.executors {
		all.Go(func() (err error) {
			samples[i], err = f.keepBusy(ctx, executor, batches)
			return err
		})
	}
	if err := all.Wait(); err != nil {
		return record.Block{}, err
	}
	block := record.Block{Elapsed: now() - began}
	for _, s := range samples {
		block.Samples = append(block.Samples, s...)
	}
	return block, nil
}

// keepBusy calls in batches. As many as were asked for are in flight: the executor's slots, or fewer.
func (f *flood) keepBusy(ctx context.Context, executor *offload.Executor, batches int) ([]int64, error) {
	samples := make([]int64, batches)
	calls := make([]offload.Operands, batch)
	before := now()
	for i := range samples {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		for rest := calls; len(rest) > 0; {
			n := len(rest)
			if f.result.InFlight < MaxInFlight {
				n = min(n, f.result.InFlight)
			}
			if err := executor.CallAll(context.Background(), floor.Skip, rest[:n]); err != nil {
				return nil, err
			}
			rest = rest[n:]
		}
		after := now()
		samples[i] = after - before
		before = after
	}
	return samples, nil
}
