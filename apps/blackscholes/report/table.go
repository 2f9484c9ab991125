package report

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// WriteTable writes the report for people. Its last line says whether the prices are right.
func (r *Report) WriteTable(w io.Writer) error {
	var b strings.Builder
	table := tabwriter.NewWriter(&b, 0, 0, 3, ' ', 0)
	line := func(name, format string, args ...any) {
		fmt.Fprintf(table, "%s\t%s\n", name, fmt.Sprintf(format, args...))
	}
	if r.Seed != nil {
		line("options", "%d, generated from seed %d", r.Options, *r.Seed)
	} else {
		line("options", "%d, %s", r.Options, r.Input)
	}
	line("kernel", "%s", r.kernel())
	line("processes", "%s, %s, on %s", count(r.Ranks, "rank"), count(r.Executors, "executor"), count(r.Cores, "core"))
	if r.Transport != nil {
		line("transport", "%s, provider %s", *r.Transport, *r.Provider)
	} else {
		line("transport", "none: no executors")
	}
	line("offloaded", "%s", r.offloaded())
	line("seconds", "%.4f, %.1f million options a second%s", r.Seconds, r.OptionsPerSecond/1e6, r.passes())
	line("beside that", "%.2f reading, %.2f writing, %.2f leasing; %.2f in all", r.ReadingSeconds, r.WritingSeconds, r.LeasingSeconds, r.TotalSeconds)
	if r.Lost > 0 {
		line("lost", "%s; their options were priced again", count(r.Lost, "executor"))
	}
	line("prices", "%s", r.verdict())
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := io.WriteString(w, b.String())
	return err
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
		text += fmt.Sprintf("; too few cores, so %d of %s shared a core with another process", shared, count(r.Executors, "executor"))
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

func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}
