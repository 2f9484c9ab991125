package main

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/sublet-hpc/sublet/apps/internal/program"
	"github.com/sublet-hpc/sublet/apps/jacobi/linear"
	"github.com/sublet-hpc/sublet/apps/jacobi/options"
	"github.com/sublet-hpc/sublet/apps/jacobi/report"
)

// iterate sweeps until the tolerance is reached, or as often as it was asked to. It leaves the
// solution in x. All ranks decide alike, because they decide by what all of them have agreed on.
func (s *solver) iterate(ctx context.Context, o *options.Options, out *solution, progress *report.Progress) error {
	if err := s.world.Barrier(); err != nil {
		return err
	}
	var growth linear.Growth
	for start := time.Now(); ; {
		change, err := s.iteration(ctx)
		if err != nil {
			return err
		}
		out.iterations++
		progress.Iterated(out.iterations, change)
		last := out.iterations == o.Limit()
		reached := o.Iterations == 0 && change <= o.Tolerance
		if radius, diverges := growth.Diverges(change); diverges && o.Iterations == 0 {
			return fmt.Errorf("the iteration diverges: the spectral radius of the iteration matrix is about %.3g, as %d iterations show; the Jacobi method needs one below 1, which diagonal dominance makes sure of%s",
				radius, out.iterations, s.problem.advice)
		}
		if !math.IsInf(change, 1) && !reached && !last {
			continue
		}

		// The residual of the x before this iteration is what the decision is made by; what
		// counts is that of the x after it. The clock stands still meanwhile.
		out.seconds += time.Since(start).Seconds()
		if out.residual, err = s.residual(); err != nil {
			return err
		}
		switch {
		case math.IsInf(out.residual, 1) || math.IsInf(change, 1):
			return fmt.Errorf("the iteration diverges: after %d iterations the residual is beyond all numbers; the Jacobi method needs a diagonally dominant system%s", out.iterations, s.problem.advice)
		case o.Iterations == 0 && out.residual <= o.Tolerance, o.Iterations > 0 && last:
			return s.slowest(&out.seconds)
		case last:
			return fmt.Errorf("not converged after %d iterations: the residual is %.3g, the tolerance %.3g; allow for more (--max-iterations) or a larger --tolerance", out.iterations, out.residual, o.Tolerance)
		}
		start = time.Now()
	}
}

// iteration does one sweep over all ranks' rows and returns the residual of the x that it started
// from.
func (s *solver) iteration(ctx context.Context) (float64, error) {
	failed := program.OneLine(s.step(ctx))
	maxima := []float64{linear.Step(s.next.values, s.x.values, s.lo, s.rows.Facts().Diagonal), 0}
	if failed != nil {
		maxima = []float64{0, 1}
	}
	if err := s.world.Allgather(s.next.values, s.parts); err != nil {
		return 0, err
	}
	if err := s.world.Max(maxima); err != nil {
		return 0, err
	}
	if maxima[1] != 0 {
		return 0, s.world.Agree(failed)
	}
	s.x, s.next = s.next, s.x
	return s.relative(maxima[0]), nil
}

// residual is max|b-Ax| / max|b| of x as it is now.
func (s *solver) residual() (float64, error) {
	maxima := []float64{s.problem.rows.Residual(s.x.values, s.lo, s.hi)}
	err := s.world.Max(maxima)
	return s.relative(maxima[0]), err
}

func (s *solver) relative(residual float64) float64 {
	if s.largest == 0 { // b is zero, and then x should be
		return residual
	}
	return residual / s.largest
}

// slowest replaces a time by that of the rank that took longest.
func (s *solver) slowest(seconds *float64) error {
	maxima := []float64{*seconds}
	err := s.world.Max(maxima)
	*seconds = maxima[0]
	return err
}
