package bench

import (
	"context"
	"fmt"

	"github.com/sublet-hpc/sublet/bench/record"
)

// contestant is one of those that take turns.
type contestant interface {
	// series is what its blocks are added to.
	series() *record.Series
	// block does so many operations.
	block(ctx context.Context, count int) (record.Block, error)
	close() error
}

// settle is how many round trips are thrown away at the beginning of a block: the other contestants have had
// the caches, an executor's end has to begin, a new connection is slow. What each block has once would
// otherwise be the 99th percentile.
const settle = 5

// settled is what a block of round trips measured after that.
func settled(samples []int64) record.Block {
	b := record.Block{Samples: samples}
	for _, ns := range samples {
		b.Elapsed += ns
	}
	return b
}

// takeTurns has each contestant do its blocks, another one first each time. A block before the first
// is thrown away.
func takeTurns(ctx context.Context, contestants []contestant, p plan, progress func()) error {
	for turn := -1; turn < p.blocks; turn++ {
		for i := range contestants {
			c := contestants[(i+turn+1)%len(contestants)]
			if err := ctx.Err(); err != nil {
				return err
			}
			count := p.count
			if turn < 0 {
				if count = p.warmup; count == 0 {
					continue
				}
			}
			block, err := c.block(ctx, count)
			if err != nil {
				return fmt.Errorf("%s of %d bytes: %w", c.series().Name, c.series().Bytes, err)
			}
			if turn >= 0 {
				c.series().Blocks = append(c.series().Blocks, block)
			}
			progress()
		}
	}
	return nil
}

// compete has contestants take their turns, and adds what they measured to the run, also if that ends early. What they do is round
// index of so many: for the progress that is shown.
func (s *stage) compete(ctx context.Context, contestants []contestant, p plan, what string, index, rounds int) error {
	turns := (p.blocks + 1) * len(contestants)
	done := index * turns
	err := takeTurns(ctx, contestants, p, func() {
		done++
		s.options.progress(what, done, rounds*turns)
	})
	for _, c := range contestants {
		s.add(c.series())
	}
	return err
}
