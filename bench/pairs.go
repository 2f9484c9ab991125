package bench

import (
	"context"
	"errors"

	"golang.org/x/sync/errgroup"

	"github.com/sublet-hpc/sublet/bench/record"
	"github.com/sublet-hpc/sublet/internal/fabric/floor"
	"github.com/sublet-hpc/sublet/offload"
)

// pairs are the floor of the ring with several operations in flight, between the client and one or more
// executors: for each, pairs of cache lines in memory that both share.
type pairs struct {
	stage  *stage
	result *record.Series
	shared []*offload.Buffer[byte]
	ends   []*floor.Pairs
	block0 floor.Block
}

// newPairs is the floor of a series; it has as many executors and operations in flight as that says. A block
// has at most so many operations; a sample is the time of a batch of them, or with 0 of one from its
// sending to its answer.
func newPairs(s *stage, result *record.Series, capacity, batch int) (contestant, error) {
	window := s.options.InFlight
	result.InFlight, result.Transport, result.Provider = window, "lines", "memfd"
	p := &pairs{stage: s, result: result, block0: floor.Block{Size: result.Bytes, Touch: s.options.Touch && result.Bytes > 0, Batch: batch}}
	for range result.Executors {
		shared, err := offload.TryAlloc[byte](s.session, floor.PairsSize(result.Bytes, window))
		if err != nil {
			return nil, errors.Join(err, p.close())
		}
		clear(shared.Slice()) // touches it
		p.shared = append(p.shared, shared)
		end, err := floor.NewPairs(shared.Slice(), result.Bytes, window, max(capacity, window, batch))
		if err != nil {
			return nil, errors.Join(err, p.close())
		}
		p.ends = append(p.ends, end)
	}
	return p, nil
}

func (p *pairs) series() *record.Series { return p.result }

func (p *pairs) block(ctx context.Context, count int) (record.Block, error) {
	b := p.block0
	b.Count = max(count, p.result.InFlight)
	if b.Batch > 0 {
		b.Count = max(1, count/b.Batch) * b.Batch
	}
	blocks := make([]record.Block, len(p.ends))
	var all errgroup.Group
	for i, end := range p.ends {
		all.Go(func() (err error) {
			blocks[i], err = p.stage.takeOver(ctx, i, floor.ServePairs, end.Call(&b), p.shared[i], func() ([]int64, error) {
				return end.Run(&b, make([]int64, 0, b.Count))
			})
			return err
		})
	}
	if err := all.Wait(); err != nil {
		return record.Block{}, err
	}
	whole := record.Block{}
	for _, block := range blocks {
		whole.Samples = append(whole.Samples, block.Samples...)
		whole.Elapsed = max(whole.Elapsed, block.Elapsed)
	}
	return whole, nil
}

func (p *pairs) close() error {
	for _, end := range p.ends {
		end.Close()
	}
	var err error
	for _, shared := range p.shared {
		err = errors.Join(err, shared.Free())
	}
	return err
}
