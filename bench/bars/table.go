package bars

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/sublet-hpc/sublet/bench/report"
)

// Write writes the table for people.
func (t *Table) Write(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "what\tvia\tfigure\t95 %\tbar\taim\t")
	disturbed := false
	for _, b := range t.Bars {
		ci, sign, verdict := "too few", "≤ ", b.Verdict
		if b.CI95 != nil {
			ci = fmt.Sprintf("%s to %s", report.Digits(b.CI95[0]), report.Digits(b.CI95[1]))
		}
		if b.AtLeast {
			sign = "≥ "
		}
		if b.Disturbed {
			disturbed = true
			verdict += " *"
		}
		unit := ""
		if b.Unit != "" {
			unit = " " + b.Unit
		}
		fmt.Fprintf(table, "%s\t%s\t%s%s\t%s\t%s%s\t%s\t%s\n", b.what(), b.via(), report.Digits(b.Value), unit, ci, sign, report.Digits(b.Bar), report.Digits(b.Aim), verdict)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if disturbed {
		fmt.Fprintln(w, "\n* something disturbed that run; \"sublet-bench report\" says what.")
	}
	if len(t.Missing) == 0 {
		return nil
	}
	fmt.Fprintln(w, "\nnot measured:")
	for _, m := range t.Missing {
		fmt.Fprintf(table, "  %s\t%s\t%s\n", m.What, m.Via, m.How)
	}
	return table.Flush()
}

// what has the size where a promise is about several.
func (b *Bar) what() string {
	if b.AtLeast && b.Unit == "" {
		return b.What + ", " + report.Size(b.Bytes)
	}
	return b.What
}

func (b *Bar) via() string {
	if b.Provider == "" || b.Provider == "memfd" {
		return b.Transport
	}
	return b.Transport + ", " + b.Provider
}
