package report

import (
	"fmt"
	"io"

	"github.com/sublet-hpc/sublet/apps/internal/outcome"
	"github.com/sublet-hpc/sublet/internal/bytesize"
)

// mostLines is how many executors have a line of their own.
const mostLines = 8

// WriteTable writes the report for people. Its last line says whether the solution is right.
func (r *Report) WriteTable(w io.Writer) error {
	table := outcome.NewTable()
	table.Line("problem", "%s", r.problem())
	table.Line("processes", "%s, %s", outcome.Count(r.Ranks, "rank"), outcome.Count(r.Executors, "executor"))
	table.Reached(r.Transport, r.Provider)
	if r.ExecutorMemory != nil {
		table.Line("memory", "at most %s for each executor's buffers, and as much for its functions", bytesize.Format(*r.ExecutorMemory))
	}
	if r.SecondsLocal != nil {
		table.Line("", "%-12s%s", "all local", Mode(r.OffloadPercent))
		table.Line("seconds", "%-12s%s", seconds(*r.SecondsLocal), seconds(r.Seconds))
		table.Line("cores", "%-12d%d", r.CoresLocal, r.Cores)
		table.Line("speed-up", "%s", r.speedup())
	} else {
		table.Line("", "%s", Mode(r.OffloadPercent))
		table.Line("seconds", "%s", seconds(r.Seconds))
		table.Line("cores", "%d", r.Cores)
	}
	table.Line("iterations", "%d, %s each, after %s of set-up", r.Iterations, perIteration(r.Seconds, r.Iterations), seconds(r.SetupSeconds)+" s")
	table.Line("residual", "%.2g (tolerance %.2g)", r.Residual, r.Tolerance)
	if r.OffloadPercent == nil {
		table.Line("share", "%s", r.share())
		if off := r.off(); off != "" {
			table.Line("", "%s", off)
		}
		name := "executors"
		for _, e := range r.Leased[:min(len(r.Leased), mostLines)] {
			table.Line(name, "%s", e.line())
			name = ""
		}
		if more := len(r.Leased) - mostLines; more > 0 {
			table.Line("", "and %d more (--report json has them)", more)
		}
	}
	if r.Difference != nil {
		table.Line("difference", "%.2g between the two solutions", *r.Difference)
	}
	if r.Lost > 0 {
		table.Line("lost", "%s; their rows were computed again", outcome.Count(r.Lost, "executor"))
	}
	table.Line("solution", "%s", r.verdict())
	return table.Write(w)
}

func (r *Report) problem() string {
	text := fmt.Sprintf("dense system of %s", outcome.Count(r.N, "unknown"))
	if r.Sparse {
		text = fmt.Sprintf("sparse system of %s, %s", outcome.Count(r.N, "unknown"), outcome.Count(r.Entries, "non-zero"))
	}
	switch {
	case r.Seed != nil:
		return fmt.Sprintf("%s, seed %d", text, *r.Seed)
	case r.RHS != "":
		return fmt.Sprintf("%s, %s: %s", r.Matrix, r.RHS, text)
	}
	return fmt.Sprintf("%s: %s", r.Matrix, text)
}

// Mode names a way of solving by the part of the rows that executors compute; nil: as many as pays.
func Mode(percent *float64) string {
	if percent == nil {
		return "auto"
	}
	switch *percent {
	case 0:
		return "all local"
	case 50:
		return "half offloaded"
	case 100:
		return "all offloaded"
	}
	return fmt.Sprintf("%.4g %% offloaded", *percent)
}

// speedup is printed with what it cost, and with what keeps it from showing.
func (r *Report) speedup() string {
	text := fmt.Sprintf("%.2f", *r.Speedup)
	if r.Cores > r.CoresLocal {
		factor := float64(r.Cores) / float64(r.CoresLocal)
		text += fmt.Sprintf(" on %.3g times the cores, %.2f per core", factor, *r.Speedup/factor)
	}
	if !r.Oversubscribed {
		return text
	}
	shared := 0
	for _, e := range r.Leased {
		if e.Oversubscribed {
			shared++
		}
	}
	return text + fmt.Sprintf("; no true one: too few cores, so %d of %s shared a core with another process", shared, outcome.Count(r.Executors, "executor"))
}

func (r *Report) verdict() string {
	switch {
	case r.Verified == nil:
		return "not compared with a direct solution (--verify does)"
	case *r.Verified:
		return fmt.Sprintf("verified: %.2g from gonum's direct solution", *r.Distance)
	}
	return fmt.Sprintf("WRONG: %.2g from gonum's direct solution", *r.Distance)
}

func seconds(s float64) string { return fmt.Sprintf("%.3f", s) }

func perIteration(s float64, iterations int) string {
	if each := s / float64(iterations); each < 1e-3 {
		return fmt.Sprintf("%.1f µs", each*1e6)
	}
	return fmt.Sprintf("%.2f ms", s/float64(iterations)*1e3)
}
