package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"golang.org/x/term"

	"github.com/sublet-hpc/sublet/apps/internal/collective"
	"github.com/sublet-hpc/sublet/apps/internal/program"
	"github.com/sublet-hpc/sublet/apps/internal/seat"
	"github.com/sublet-hpc/sublet/apps/internal/share"
	"github.com/sublet-hpc/sublet/apps/jacobi/linear"
	"github.com/sublet-hpc/sublet/apps/jacobi/options"
	"github.com/sublet-hpc/sublet/apps/jacobi/report"
)

// run solves the system, checks the solution and reports, on all ranks. Its error is the same on
// all of them, unless it is an MPIError.
func run(ctx context.Context, world *collective.World, o *options.Options, stdout, stderr io.Writer) error {
	library := ""
	var err error
	if !o.Offload.None() {
		library, err = program.FindLibrary(o.Library, libraryName)
	}
	if err == nil && o.Output != "" && world.Rank() == 0 {
		err = report.CheckSolutionPath(o.Output)
	}
	if err := world.Agree(err); err != nil {
		return err
	}
	p, err := define(world, o)
	if err != nil {
		return err
	}

	result, err := solve(ctx, world, p, o, o.Offload, library)
	if err != nil {
		return err
	}
	r, err := describe(world, p, o, result)
	if err != nil {
		return err
	}
	r.WriteLosses(stderr) // at once: what follows may take long, or fail
	if o.Compare {
		local, err := solve(ctx, world, p, o, share.Share{}, "")
		if err != nil {
			return err
		}
		speedup, difference := local.seconds/result.seconds, linear.Distance(result.x, local.x)
		r.SecondsLocal, r.Speedup, r.Difference = &local.seconds, &speedup, &difference
	}
	if world.Rank() == 0 {
		err = conclude(o, p, result.x, r, stdout)
	}
	return world.Agree(err)
}

// conclude is rank 0's end of the run.
func conclude(o *options.Options, p *problem, x []float64, r *report.Report, stdout io.Writer) error {
	var wrong error
	if o.Verifies() {
		direct, err := p.direct()
		if err != nil {
			return err
		}
		distance, right := direct.Check(x, o.Tolerance)
		r.Verified, r.Distance = &right, &distance
		if !right {
			wrong = fmt.Errorf("the solution is wrong: %.2g from the direct one (max|x-y| / max|y|), with a residual of %.2g", distance, r.Residual)
		}
	}
	if o.Output != "" {
		if err := report.WriteSolution(o.Output, x); err != nil {
			return err
		}
	}
	write := r.WriteTable
	if o.Report == options.JSON {
		write = r.WriteJSON
	}
	if err := write(stdout); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return wrong
}

// rankSummary is what rank 0 must know of every rank.
type rankSummary struct {
	Seat      seat.Seat
	Offloaded report.Offloaded
}

// describe makes the report of a solution, on rank 0; on the others it is not complete.
func describe(world *collective.World, p *problem, o *options.Options, s *solution) (*report.Report, error) {
	r := &report.Report{
		Ranks: world.Size(), OffloadPercent: percentOf(o.Offload),
		Iterations: s.iterations, Tolerance: o.Tolerance, Residual: s.residual,
		Seconds: s.seconds, SetupSeconds: s.setupSeconds,
	}
	describeProblem(r, p, o)
	own, err := seat.Find()
	all, err := collective.GatherValues(world, rankSummary{own, s.offloaded}, err)
	if err != nil {
		return nil, err
	}
	var seats []seat.Seat
	for _, summary := range all {
		seats = append(seats, summary.Seat)
		r.Add(summary.Offloaded)
	}
	r.CoresLocal, r.Cores = seat.CountCores(seats, nil), seat.CountCores(seats, r.Places())
	return r, nil
}

// libraryName is the function library's file.
const libraryName = "libjacobi.so"

// percentOf is a share as reports have it.
func percentOf(part share.Share) *float64 {
	if part.Auto {
		return nil
	}
	return &part.Percent
}

// newProgress shows rank 0's progress on standard error.
func newProgress(world *collective.World, o *options.Options, part share.Share) *report.Progress {
	if world.Rank() != 0 {
		return nil
	}
	terminal := term.IsTerminal(int(os.Stderr.Fd()))
	return report.NewProgress(os.Stderr, terminal, report.Mode(percentOf(part)), o.Tolerance, o.Iterations)
}

// newReading shows on standard error how far reading files has come.
func newReading() *report.Reading {
	return report.NewReading(os.Stderr, term.IsTerminal(int(os.Stderr.Fd())))
}
