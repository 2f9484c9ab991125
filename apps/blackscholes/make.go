package main

import (
	"fmt"
	"io"

	"github.com/sublet-hpc/sublet/apps/blackscholes/options"
	"github.com/sublet-hpc/sublet/apps/blackscholes/portfolio"
	"github.com/sublet-hpc/sublet/apps/internal/collective"
)

// makeFile writes a file of generated options. Rank 0 does, on all cores that it may use.
func makeFile(world *collective.World, o *options.Options, stdout io.Writer) error {
	what := portfolio.Generated{Count: int64(o.Generate), Seed: o.Seed, Binary: o.Binary, Precision: 4}
	if o.Precision == options.Double {
		what.Precision = 8
	}
	var err error
	if world.Rank() == 0 {
		progress := newProgress(world, "generating", what.Count)
		err = portfolio.WriteGenerated(o.Output, what, func(done int64) error {
			progress.Done(done)
			return nil
		})
		progress.Close()
	}
	if err := world.Agree(err); err != nil {
		return soleRank(err)
	}
	_, err = fmt.Fprintf(stdout, "%s: %d options, generated from seed %d\n", o.Output, o.Generate, o.Seed)
	return world.Agree(err)
}
