package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sublet-hpc/sublet/bench/record"
	"github.com/sublet-hpc/sublet/internal/fabric/floor"
	"github.com/sublet-hpc/sublet/offload"
)

var phases = []string{record.PhaseConnect, record.PhaseLease, record.PhaseFirst, record.PhaseTotal, record.PhaseRelease}

// PoolPatience is how long the pool of started executors may take to be full before each repetition.
const PoolPatience = 5 * time.Second

// Cold measures what it takes from nothing to a first result, for one client or several at once. A
// session stays open meanwhile, so that it is not the node's helper that is started each time.
func Cold(ctx context.Context, o *Options) (*record.Run, error) {
	s, err := openStage(ctx, o, 1, o.hotTimeout())
	if err != nil {
		return nil, err
	}
	fail := func(err error) (*record.Run, error) { return s.finish(ctx, err) }
	series := map[string]*record.Series{}
	names := phases
	if o.Clients > 1 {
		names = append(slices.Clone(phases), record.PhaseLast)
	}
	for _, name := range names {
		c := s.series(record.Cold, record.Sublet, 8)
		c.Mode, c.Clients, c.Executors, c.Touched = name, o.Clients, o.Cores, true
		series[name] = c
		s.add(c)
	}
	// Its core is wanted, and its lease is not what is measured.
	if err := s.lease.Release(); err != nil {
		return fail(err)
	}
	repetitions := o.Repetitions
	if repetitions == 0 {
		repetitions = 30
	}
	warmup := o.Warmup
	if warmup < 0 {
		warmup = 1
	}
	for i := -warmup; i < repetitions; i++ {
		pooled, err := s.session.AwaitPool(ctx, PoolPatience)
		if err != nil {
			return fail(err)
		}
		o.progress(fmt.Sprintf("%d clients", o.Clients), max(i, 0), repetitions)
		times, err := s.coldStart(ctx)
		if err != nil {
			return fail(err)
		}
		if i < 0 {
			continue
		}
		for _, name := range names {
			series[name].Pooled = pooled > 0
			block := record.Block{Samples: times[name], Elapsed: slices.Max(times[name])}
			series[name].Blocks = append(series[name].Blocks, block)
		}
	}
	return s.finish(ctx, nil)
}

// coldStart has all clients come at once, and returns the times of each phase.
func (s *stage) coldStart(ctx context.Context) (map[string][]int64, error) {
	each := make([]map[string]int64, s.options.Clients)
	ready := make(chan struct{})
	var all errgroup.Group
	for i := range each {
		all.Go(func() (err error) {
			<-ready
			each[i], err = s.client(ctx)
			return err
		})
	}
	close(ready)
	if err := all.Wait(); err != nil {
		return nil, err
	}
	times := map[string][]int64{}
	for _, client := range each {
		for name, ns := range client {
			times[name] = append(times[name], max(ns, 1))
		}
	}
	times[record.PhaseLast] = []int64{slices.Max(times[record.PhaseTotal])}
	return times, nil
}

// client is one that comes, has each executor answer once, and goes.
func (s *stage) client(ctx context.Context) (_ map[string]int64, err error) {
	began := now()
	session, err := offload.Connect(ctx)
	if err != nil {
		return nil, err
	}
	connected := now()
	lease, err := session.Lease(ctx, offload.Want{Executors: s.options.Cores, Library: s.options.Library, Oversubscribe: true})
	if err != nil {
		return nil, errors.Join(err, session.Close())
	}
	leased := now()
	in, out := offload.Alloc[uint64](session, 1), offload.Alloc[uint64](session, 1)
	for i, executor := range lease.Executors() {
		in.Slice()[0] = uint64(i) + 1
		if _, err := executor.Invoke(context.Background(), floor.Echo, in, out).Wait(ctx); err != nil {
			return nil, errors.Join(err, session.Close())
		}
		if out.Slice()[0] != in.Slice()[0] {
			return nil, errors.Join(fmt.Errorf("the first result is %d instead of %d", out.Slice()[0], in.Slice()[0]), session.Close())
		}
	}
	answered := now()
	err = lease.Release()
	released := now()
	return map[string]int64{
		record.PhaseConnect: connected - began, record.PhaseLease: leased - connected, record.PhaseFirst: answered - leased,
		record.PhaseTotal: answered - connected, record.PhaseRelease: released - answered,
	}, errors.Join(err, session.Close())
}
