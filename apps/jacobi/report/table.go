package report

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/sublet-hpc/sublet/internal/bytesize"
)

// mostLines is how many executors have a line of their own.
const mostLines = 8

// WriteTable writes the report for people. Its last line says whether the solution is right.
func (r *Report) WriteTable(w io.Writer) error {
	var b strings.Builder
	table := tabwriter.NewWriter(&b, 0, 0, 3, ' ', 0)
	line := func(name, format string, args ...any) {
		fmt.Fprintf(table, "%s\t%s\n", name, fmt.Sprintf(format, args...))
	}
	line("problem", "%s", r.problem())
	line("processes", "%s, %s", count(r.Ranks, "rank"), count(r.Executors, "executor"))
	if r.Transport != nil {
		line("transport", "%s, provider %s", *r.Transport, *r.Provider)
	} else {
		line("transport", "none: no executors")
	}
	if r.ExecutorMemory != nil {
		line("memory", "at most %s for each executor's buffers, and as much for its functions", bytesize.Format(*r.ExecutorMemory))
	}
	if r.SecondsLocal != nil {
		line("", "%-12s%s", "all local", Mode(r.OffloadPercent))
		line("seconds", "%-12s%s", seconds(*r.SecondsLocal), seconds(r.Seconds))
		line("cores", "%-12d%d", r.CoresLocal, r.Cores)
		line("speed-up", "%s", r.speedup())
	} else {
		line("", "%s", Mode(r.OffloadPercent))
		line("seconds", "%s", seconds(r.Seconds))
		line("cores", "%d", r.Cores)
	}
	line("iterations", "%d, %s each, after %s of set-up", r.Iterations, perIteration(r.Seconds, r.Iterations), seconds(r.SetupSeconds)+" s")
	line("residual", "%.2g (tolerance %.2g)", r.Residual, r.Tolerance)
	if r.OffloadPercent == nil {
		line("share", "%s", r.share())
		if off := r.off(); off != "" {
			line("", "%s", off)
		}
		name := "executors"
		for _, e := range r.Leased[:min(len(r.Leased), mostLines)] {
			line(name, "%s", e.line())
			name = ""
		}
		if more := len(r.Leased) - mostLines; more > 0 {
			line("", "and %d more (--report json has them)", more)
		}
	}
	if r.Difference != nil {
		line("difference", "%.2g between the two solutions", *r.Difference)
	}
	if r.Lost > 0 {
		line("lost", "%s; their rows were computed again", count(r.Lost, "executor"))
	}
	line("solution", "%s", r.verdict())
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (r *Report) problem() string {
	text := fmt.Sprintf("dense system of %s", count(r.N, "unknown"))
	if r.Sparse {
		text = fmt.Sprintf("sparse system of %s, %s", count(r.N, "unknown"), count(r.Entries, "non-zero"))
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
	return text + fmt.Sprintf("; no true one: too few cores, so %d of %s shared a core with another process", shared, count(r.Executors, "executor"))
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

func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

func seconds(s float64) string { return fmt.Sprintf("%.3f", s) }

func perIteration(s float64, iterations int) string {
	if each := s / float64(iterations); each < 1e-3 {
		return fmt.Sprintf("%.1f µs", each*1e6)
	}
	return fmt.Sprintf("%.2f ms", s/float64(iterations)*1e3)
}
