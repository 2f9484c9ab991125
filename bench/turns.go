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
