package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/sublet-hpc/sublet/bench/record"
	"github.com/sublet-hpc/sublet/internal/fabric/floor"
	"github.com/sublet-hpc/sublet/offload"
)

// Scale measures what 1, 2, ... executors speed a step up whose work can be divided: against one
// core, and against as many cores as the client and the executors have together.
func Scale(ctx context.Context, o *Options) (*record.Run, error) {
	if o.Mode == Warm {
		return nil, errors.New("--mode warm: executors are busy from step to step; leave it out")
	}
	s, err := openStage(ctx, o, o.Executors, warmTimeout)
	if err != nil {
		return nil, err
	}
	// Threads of the client run where the executors do, which sleep when it is the client's turn.
	if err := s.unbind(); err != nil {
		return s.finish(ctx, err)
	}
	p := plan{blocks: o.Blocks, count: 5, warmup: 2}
	if o.Repetitions > 0 {
		p.blocks = min(o.Blocks, o.Repetitions)
		p.count = (o.Repetitions + p.blocks - 1) / p.blocks
	}
	var contestants []contestant
	for n := 1; n <= o.Executors; n++ {
		one := newStep(s, record.OneCore, n)
		one.local = 1
		threads := newStep(s, record.Threads, n)
		threads.local = n + 1
		ours := newStep(s, record.Sublet, n)
		ours.local, ours.remote = 1, s.lease.Executors()[:n]
		contestants = append(contestants, ours, one, threads)
	}
	err = s.compete(ctx, contestants, p, fmt.Sprintf("1 to %d executors", o.Executors), 0, 1)
	return s.finish(ctx, err)
}

// step is work divided evenly between threads here and executors.
type step struct {
	stage  *stage
	result *record.Series
	local  int // threads
	remote []*offload.Executor
	in     []*offload.Buffer[byte]
	out    []*offload.Buffer[byte]
}

func newStep(s *stage, name string, executors int) *step {
	t := &step{stage: s, result: s.series(record.Scale, name, 0)}
	t.result.Executors = executors
	if name != record.Sublet {
		t.result.Transport, t.result.Provider = "none", "local"
	}
	for range executors {
		t.in = append(t.in, offload.Alloc[byte](s.session, 8))
		t.out = append(t.out, offload.Alloc[byte](s.session, 8))
	}
	return t
}

func (t *step) series() *record.Series { return t.result }

func (t *step) close() error { return nil }

func (t *step) block(ctx context.Context, count int) (record.Block, error) {
	samples := make([]int64, count)
	if len(t.remote) == 0 {
		floor.Pause(3 * warmTimeout) // until the executors sleep
	} else if err := t.once(ctx); err != nil { // until they are awake
		return record.Block{}, err
	}
	began := now()
	before := began
	for i := range samples {
		if err := t.once(ctx); err != nil {
			return record.Block{}, err
		}
		after := now()
		samples[i] = after - before
		before = after
	}
	return record.Block{Elapsed: before - began, Samples: samples}, nil
}

func (t *step) once(ctx context.Context) error {
	parts := t.local + len(t.remote)
	share := func(i int) int { return t.stage.options.Items*(i+1)/parts - t.stage.options.Items*i/parts }
	futures := make([]offload.Future, len(t.remote))
	for i, executor := range t.remote {
		binary.NativeEndian.PutUint64(t.in[i].Slice(), uint64(share(t.local+i)))
		futures[i] = executor.Invoke(context.Background(), floor.Work, t.in[i], t.out[i])
	}
	var threads sync.WaitGroup
	for i := 1; i < t.local; i++ {
		threads.Go(func() { floor.Compute(share(i)) })
	}
	floor.Compute(share(0))
	threads.Wait()
	for _, f := range futures {
		if _, err := f.Wait(ctx); err != nil {
			return err
		}
	}
	return nil
}
