package bench

import (
	"context"
	"errors"
	"fmt"

	"github.com/sublet-hpc/sublet/bench/record"
	"github.com/sublet-hpc/sublet/internal/fabric"
	"github.com/sublet-hpc/sublet/internal/fabric/floor"
	"github.com/sublet-hpc/sublet/offload"
)

// Bandwidth measures how fast inputs move one way: as many as are in flight travel while the client
// writes the next. The function does not look at them; the answer is empty.
func Bandwidth(ctx context.Context, o *Options) (*record.Run, error) {
	if o.Mode == Warm {
		return nil, errors.New("--mode warm: with several inputs on their way nobody sleeps; leave it out")
	}
	for _, b := range o.Baselines {
		if b != Raw {
			return nil, fmt.Errorf("--baseline %s: bandwidth is compared with raw only", b)
		}
	}
	s, err := openStage(ctx, o, 1, o.hotTimeout())
	if err != nil {
		return nil, err
	}
	for i, size := range o.Sizes {
		err = s.sweep(ctx, size, i, func() ([]contestant, error) {
			ours, err := newStream(s, size)
			if err != nil {
				return nil, err
			}
			if !o.has(Raw) {
				return []contestant{ours}, nil
			}
			raw, err := newRawStream(ctx, s, size)
			if err != nil {
				return []contestant{ours}, fmt.Errorf("--baseline raw: %w", err)
			}
			return []contestant{ours, raw}, nil
		})
		if err != nil {
			break
		}
	}
	return s.finish(ctx, err)
}

// newRawStream moves bytes one way without Sublet.
func newRawStream(ctx context.Context, s *stage, size int) (contestant, error) {
	p := s.options.plan(size)
	if s.lease.Path().Transport != fabric.Ring {
		c, err := newRawOFI(ctx, s, size, s.options.InFlight, p)
		if err != nil {
			return nil, err
		}
		asStream(c.series(), s.options)
		return c, nil
	}
	c, err := newLines(s, size, s.options.InFlight, p)
	if err != nil {
		return nil, err
	}
	c.(*lines).block0.Window = s.options.InFlight
	asStream(c.series(), s.options)
	return c, nil
}

func asStream(series *record.Series, o *Options) {
	series.Kind, series.InFlight = record.Bandwidth, o.InFlight
}

// stream keeps inputs on their way.
type stream struct {
	stage  *stage
	result *record.Series
	in     []*offload.Buffer[byte]
	source []byte
}

func newStream(s *stage, size int) (*stream, error) {
	t := &stream{stage: s, result: s.series(record.Bandwidth, record.Sublet, size), source: make([]byte, size)}
	asStream(t.result, s.options)
	for range s.options.InFlight {
		in, err := offload.TryAlloc[byte](s.session, size)
		if err != nil {
			return nil, err
		}
		clear(in.Slice()) // touches it
		t.in = append(t.in, in)
	}
	return t, nil
}

func (t *stream) series() *record.Series { return t.result }

func (t *stream) close() error {
	for _, in := range t.in {
		if err := in.Free(); err != nil {
			return err
		}
	}
	return nil
}

// block's samples are the times between answers.
func (t *stream) block(ctx context.Context, count int) (record.Block, error) {
	samples := make([]int64, count)
	futures := make([]offload.Future, len(t.in))
	began := now()
	before := began
	for i := range count + len(futures) {
		slot := i % len(futures)
		if i >= len(futures) {
			if _, err := futures[slot].Wait(ctx); err != nil {
				return record.Block{}, err
			}
			after := now()
			samples[i-len(futures)] = after - before
			before = after
		}
		if i < count {
			if t.stage.options.Touch {
				copy(t.in[slot].Slice(), t.source)
			}
			futures[slot] = t.stage.lease.Invoke(context.Background(), floor.Skip, t.in[slot], nil)
		}
	}
	return record.Block{Elapsed: before - began, Samples: samples}, nil
}
