package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"

	"github.com/sublet-hpc/sublet/apps/blackscholes/options"
	"github.com/sublet-hpc/sublet/apps/blackscholes/portfolio"
	"github.com/sublet-hpc/sublet/apps/blackscholes/report"
	"github.com/sublet-hpc/sublet/apps/internal/collective"
	"github.com/sublet-hpc/sublet/apps/internal/pricing"
	"github.com/sublet-hpc/sublet/apps/internal/program"
	"github.com/sublet-hpc/sublet/apps/internal/seat"
	"github.com/sublet-hpc/sublet/internal/atomicfile"
)

// libraryName is the function library's file.
const libraryName = "libblackscholes.so"

// run does what was asked for, on all ranks. Its error is the same on all of them, unless it is an MPIError.
func run(ctx context.Context, world *collective.World, o *options.Options, stdout, stderr io.Writer) error {
	switch {
	case o.Generate > 0:
		return makeFile(world, o, stdout)
	case o.Precision == options.Double:
		return runIn[float64](ctx, world, o, stdout, stderr)
	}
	return runIn[float32](ctx, world, o, stdout, stderr)
}

// runIn prices options in a precision, and reports.
func runIn[T portfolio.Float](ctx context.Context, world *collective.World, o *options.Options, stdout, stderr io.Writer) error {
	start := time.Now()
	r := &job[T]{world: world, o: o}
	err := r.prepare(ctx)
	if err == nil && o.Input != "" {
		err = r.stream(ctx)
	} else if err == nil {
		err = r.generated(ctx)
	}
	if err == nil {
		err = r.finishOutput()
	}
	var rep *report.Report
	if err == nil {
		rep, err = r.describe(time.Since(start))
	}
	if r.pricer != nil {
		r.pricer.failed = err != nil
	}
	closing := r.close()
	var broken *collective.MPIError
	if errors.As(err, &broken) {
		return err
	}
	if err != nil {
		return err // closing has gone wrong for the same reason, if it has
	}
	if err := world.Agree(closing); err != nil {
		return err
	}
	rep.WriteNotes(stderr)
	if world.Rank() == 0 {
		err = conclude(o, rep, stdout)
	}
	return world.Agree(err)
}

// conclude writes the report, and is an error if prices are wrong.
func conclude(o *options.Options, r *report.Report, stdout io.Writer) error {
	write := r.WriteTable
	if o.Report == options.JSON {
		write = r.WriteJSON
	}
	if err := write(stdout); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	if r.Mismatches != nil && *r.Mismatches > 0 {
		return fmt.Errorf("%d of %d prices differ from the reference by %g or more, the worst by %.2g", *r.Mismatches, r.Options, report.Limit, *r.LargestDifference)
	}
	return nil
}

// job is one rank's part in a run.
type job[T portfolio.Float] struct {
	world  *collective.World
	o      *options.Options
	file   *portfolio.File   // nil: options are generated, or another rank reads
	output *portfolio.Output // nil: none
	pricer *pricer[T]
	sink   *sink[T]

	count   int64 // of all options
	tally   portfolio.Tally
	reading time.Duration
}

// prepare opens files and connects to Sublet.
func (r *job[T]) prepare(ctx context.Context) error {
	if err := r.open(); err != nil {
		return err
	}
	if err := r.create(); err != nil {
		return err
	}
	var err error
	r.pricer, err = newPricer[T](ctx, r.world, r.o)
	return r.world.Agree(program.OneLine(err))
}

// create begins the file of the prices, on all ranks.
func (r *job[T]) create() error {
	if r.o.Output == "" {
		return nil
	}
	var err error
	var name []byte
	if (r.world.Size() > 1 || r.o.Binary) && inOrder(r.o.Output) {
		err = fmt.Errorf("--output %s: it is no regular file, so one rank alone can write it, and only text; use one rank and leave out --binary, or name a file", r.o.Output)
	} else if r.world.Rank() == 0 {
		if r.output, err = portfolio.Create(r.o.Output); err == nil {
			name = []byte(r.output.Temporary())
		}
	}
	if err := r.world.Agree(err); err != nil {
		return soleRank(err)
	}
	if name, err = r.world.Share(name, 0); err != nil {
		return err
	}
	if r.world.Rank() != 0 {
		r.output, err = portfolio.Join(string(name), r.o.Output)
	}
	return r.world.Agree(err)
}

// inOrder tells whether a file can be written from its beginning to its end only, as a pipe, or a descriptor of this
// rank's alone.
func inOrder(name string) bool {
	if atomicfile.IsDescriptor(name) {
		return true
	}
	place, err := atomicfile.Find(name)
	return err == nil && place.AsItIs
}

// soleRank is an error of what one rank does for all of them: its number would only confuse.
func soleRank(err error) error {
	var agreed *collective.RankError
	if errors.As(err, &agreed) {
		agreed.All = true
	}
	return err
}

// finishOutput gives the file of prices its name, when all ranks have written.
func (r *job[T]) finishOutput() error {
	err := r.sink.close()
	if err := r.world.Agree(err); err != nil || r.output == nil {
		return err
	}
	if r.sink.binary != nil {
		all, err := r.addUp(r.sink.binary.Tally())
		if err != nil {
			return err
		}
		if r.world.Rank() == 0 {
			err = r.sink.binary.Finish(all)
		}
		if err := r.world.Agree(err); err != nil {
			return soleRank(err)
		}
	}
	if r.world.Rank() != 0 {
		err = r.output.Close()
	}
	if err := r.world.Agree(err); err != nil {
		return err
	}
	if r.world.Rank() == 0 {
		err = r.output.Commit()
	}
	return soleRank(r.world.Agree(err))
}

// addUp adds up the tallies of all ranks, on rank 0. Its error is the same on all ranks.
func (r *job[T]) addUp(own portfolio.Tally) (all portfolio.Tally, err error) {
	tallies, err := collective.GatherValues(r.world, own, nil)
	for _, one := range tallies {
		all.Add(one)
	}
	return all, err
}

// rankSummary is what rank 0 must know of every rank.
type rankSummary struct {
	Seat                      seat.Seat
	Leased                    []report.Executor
	Lost                      int
	Losses                    []report.Loss
	Off                       string
	Passes                    []float64
	Reading, Writing, Leasing float64
	Dividends                 int64
	Mismatches                int64
	Largest                   float64
}

// describe makes the report, on rank 0; on the others it is not complete.
func (r *job[T]) describe(total time.Duration) (*report.Report, error) {
	o := r.o
	rep := &report.Report{
		Options: r.count, Input: o.Input, Precision: string(o.Precision), Kernel: o.Kernel, Ranks: r.world.Size(), Offload: o.Offload.String(),
		PassSeconds: make([]float64, o.Repeat), TotalSeconds: total.Seconds(),
	}
	if o.Input == "" {
		rep.Seed = &o.Seed
	}
	if o.Kernel == options.Vector {
		rep.Instructions = pricing.Instructions()
	}
	own := rankSummary{
		Reading: r.reading.Seconds(), Writing: r.sink.took.Seconds(), Dividends: r.tally.Dividends,
		Mismatches: r.sink.checked.mismatches, Largest: r.sink.checked.largest,
	}
	r.pricer.describe(&own)
	var err error
	own.Seat, err = seat.Find()
	all, err := collective.GatherValues(r.world, own, err)
	if err != nil {
		return nil, err
	}
	check := rankSummary{}
	for _, s := range all {
		rep.Seats = append(rep.Seats, s.Seat)
		rep.Add(s.Leased)
		rep.Lost += s.Lost
		rep.Losses = append(rep.Losses, s.Losses...)
		for i, seconds := range s.Passes {
			rep.PassSeconds[i] = max(rep.PassSeconds[i], seconds)
		}
		rep.ReadingSeconds, rep.WritingSeconds = max(rep.ReadingSeconds, s.Reading), max(rep.WritingSeconds, s.Writing)
		rep.LeasingSeconds = max(rep.LeasingSeconds, s.Leasing)
		rep.Dividends += s.Dividends
		check.Mismatches, check.Largest = check.Mismatches+s.Mismatches, max(check.Largest, s.Largest)
		if rep.NotOffloaded == "" {
			rep.NotOffloaded = s.Off
		}
	}
	if o.Check {
		rep.Mismatches, rep.LargestDifference = &check.Mismatches, &check.Largest
	}
	rep.Complete()
	return rep, nil
}

// close gives back all that there is. What was written and not kept is removed.
func (r *job[T]) close() error {
	var errs []error
	if r.sink != nil {
		errs = append(errs, r.sink.close())
	}
	if r.pricer != nil {
		errs = append(errs, r.pricer.close())
	}
	if r.file != nil {
		errs = append(errs, r.file.Close())
	}
	if r.output != nil {
		if err := r.output.Close(); r.world.Rank() == 0 {
			errs = append(errs, err)
		}
	}
	return program.OneLine(errors.Join(errs...))
}

// newProgress shows rank 0's progress on standard error.
func newProgress(world *collective.World, title string, total int64) *report.Progress {
	if world.Rank() != 0 {
		return nil
	}
	return report.NewProgress(os.Stderr, term.IsTerminal(int(os.Stderr.Fd())), title, total)
}
