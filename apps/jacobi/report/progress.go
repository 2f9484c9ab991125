package report

import (
	"fmt"
	"io"
	"math"

	"github.com/schollz/progressbar/v3"

	"github.com/sublet-hpc/sublet/apps/internal/outcome"
)

// Progress shows how far a solution has come: a bar on a terminal, elsewhere a line now and then.
// A nil Progress shows nothing.
type Progress struct {
	w         io.Writer
	tolerance float64
	exactly   int // iterations, 0: until the tolerance is reached
	title     string
	pace      outcome.Pace
	bar       *progressbar.ProgressBar // nil: lines
	first     float64                  // residual
}

const barSteps = 1000

// NewProgress returns the progress of a run to a tolerance, or of exactly some iterations.
func NewProgress(w io.Writer, terminal bool, title string, tolerance float64, exactly int) *Progress {
	p := &Progress{w: w, tolerance: tolerance, exactly: exactly, title: title, pace: outcome.NewPace(terminal)}
	if terminal {
		p.bar = progressbar.NewOptions(barSteps,
			progressbar.OptionSetWriter(w), progressbar.OptionSetDescription(title),
			progressbar.OptionSetPredictTime(false), progressbar.OptionSetElapsedTime(true),
			progressbar.OptionSetWidth(40), progressbar.OptionClearOnFinish())
	}
	return p
}

// Iterated tells that an iteration is done, and what the residual was before it. It costs next to
// nothing between the times at which something is shown.
func (p *Progress) Iterated(iteration int, residual float64) {
	if p == nil {
		return
	}
	if iteration == 1 {
		p.first = residual
	}
	if !p.pace.Due() {
		return
	}
	if p.bar != nil {
		_ = p.bar.Set(int(barSteps * p.done(iteration, residual)))
		return
	}
	fmt.Fprintf(p.w, "jacobi: %s: iteration %d, residual %.2g, %.0f %%\n", p.title, iteration, residual, 100*p.done(iteration, residual))
}

// done is the part of the way that lies behind, from 0 to 1: on the way to a tolerance the
// residual shrinks by the same factor in every iteration.
func (p *Progress) done(iteration int, residual float64) float64 {
	part := float64(iteration) / float64(max(p.exactly, 1))
	if p.exactly == 0 {
		part = math.Log(p.first/residual) / math.Log(p.first/p.tolerance)
	}
	if !(part > 0) { // no progress, or not a number
		return 0
	}
	return min(part, 1)
}

// Close takes the bar away.
func (p *Progress) Close() {
	if p != nil && p.bar != nil {
		_ = p.bar.Clear()
	}
}
