package report

import (
	"fmt"
	"io"

	"github.com/sublet-hpc/sublet/apps/internal/outcome"
)

// WriteTable writes the report for people. Its last line says whether the prices are right.
func (r *Report) WriteTable(w io.Writer) error {
	table := outcome.NewTable()
	if r.Seed != nil {
		table.Line("options", "%d, generated from seed %d", r.Options, *r.Seed)
	} else {
		table.Line("options", "%d, %s", r.Options, r.Input)
	}
	table.Line("kernel", "%s", r.kernel())
	table.Line("processes", "%s, %s, on %s", outcome.Count(r.Ranks, "rank"), outcome.Count(r.Executors, "executor"), outcome.Count(r.Cores, "core"))
	table.Reached(r.Transport, r.Provider)
	table.Line("offloaded", "%s", r.offloaded())
	table.Line("seconds", "%.4f, %.1f million options a second%s", r.Seconds, r.OptionsPerSecond/1e6, r.passes())
	table.Line("beside that", "%.2f reading, %.2f writing, %.2f leasing; %.2f in all", r.ReadingSeconds, r.WritingSeconds, r.LeasingSeconds, r.TotalSeconds)
	if r.Lost > 0 {
		table.Line("lost", "%s; their options were priced again", outcome.Count(r.Lost, "executor"))
	}
	table.Line("prices", "%s", r.verdict())
	return table.Write(w)
}

func (r *Report) kernel() string {
	text := r.Kernel
	if r.Instructions != "" {
		text += " (" + r.Instructions + ")"
	}
	return text + ", " + r.Precision + " precision"
}

func (r *Report) offloaded() string {
	text := fmt.Sprintf("%.1f %%", 100*r.Share)
	if r.Offload == "auto" {
		text += ", found by measuring"
	}
	shared := 0
	for _, e := range r.Leased {
		if e.Oversubscribed {
			shared++
		}
	}
	if shared > 0 {
		text += fmt.Sprintf("; too few cores, so %d of %s shared a core with another process", shared, outcome.Count(r.Executors, "executor"))
	}
	return text
}

func (r *Report) passes() string {
	if len(r.PassSeconds) < 2 {
		return ""
	}
	return fmt.Sprintf("; the median of %d times", len(r.PassSeconds))
}

func (r *Report) verdict() string {
	switch {
	case r.Mismatches == nil:
		return "not compared with reference prices (--check does)"
	case *r.Mismatches == 0:
		return fmt.Sprintf("checked: at most %.2g from the reference", *r.LargestDifference)
	}
	return fmt.Sprintf("WRONG: %d are %g or more from the reference, the worst %.2g", *r.Mismatches, Limit, *r.LargestDifference)
}
