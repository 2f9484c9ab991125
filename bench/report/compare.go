package report

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	"github.com/sublet-hpc/sublet/bench/record"
	"github.com/sublet-hpc/sublet/bench/stats"
)

// Change is how a series differs from the same one in an older run.
type Change struct {
	Kind      string      `json:"kind"`
	Name      string      `json:"name"`
	Mode      string      `json:"mode"`
	Transport string      `json:"transport"`
	Provider  string      `json:"provider"`
	Bytes     int         `json:"bytes"`
	Executors int         `json:"executors"`
	Clients   int         `json:"clients"`
	Old       float64     `json:"old"` // nanoseconds, or per second
	New       float64     `json:"new"`
	Ratio     float64     `json:"ratio"`
	Old95     *[2]float64 `json:"old_ci95"`
	New95     *[2]float64 `json:"new_ci95"`
	// Verdict is "same", "better", "worse" or "too few samples".
	Verdict string `json:"verdict"`
}

// Compare says of each series that both runs have what changed beyond noise: the intervals of the
// medians of blocks do not overlap. Blocks, and not samples, because samples of one block share its
// disturbances.
func Compare(older, newer *record.Run) []Change {
	changes := []Change{}
	for _, s := range newer.Series {
		i := slices.IndexFunc(older.Series, func(o *record.Series) bool {
			return o.Key() == s.Key() && o.Name == s.Name && o.Transport == s.Transport && o.Provider == s.Provider
		})
		if i < 0 {
			continue
		}
		c := Change{
			Kind: s.Kind, Name: s.Name, Mode: s.Mode, Transport: s.Transport, Provider: s.Provider, Bytes: s.Bytes,
			Executors: s.Executors, Clients: s.Clients,
		}
		c.Old, c.Old95 = center(older.Series[i].Values())
		c.New, c.New95 = center(s.Values())
		c.Ratio = c.New / c.Old
		switch {
		case c.Old95 == nil || c.New95 == nil:
			c.Verdict = "too few samples"
		case c.Old95[1] >= c.New95[0] && c.New95[1] >= c.Old95[0]:
			c.Verdict = "same"
		case (c.New < c.Old) != s.IsRate():
			c.Verdict = "better"
		default:
			c.Verdict = "worse"
		}
		changes = append(changes, c)
	}
	return changes
}

func center(values []float64) (float64, *[2]float64) {
	slices.Sort(values)
	if interval, ok := stats.Median95(values); ok {
		return stats.Median(values), &interval
	}
	return stats.Median(values), nil
}

// WriteChanges writes a table, and before it what makes two runs hard to compare.
func WriteChanges(w io.Writer, older, newer *record.Run, changes []Change) error {
	if older.Machine != newer.Machine {
		fmt.Fprintf(w, "not the same machine: %s, %s, %s; then %s, %s, %s\n\n",
			older.Machine.Host, older.Machine.Processor, older.Machine.Kernel, newer.Machine.Host, newer.Machine.Processor, newer.Machine.Kernel)
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "what\twho\tmode\tvia\tbytes\told\tnew\tnew/old\t")
	for _, c := range changes {
		write := Clock
		if c.Kind == record.Bandwidth || c.Kind == record.Throughput {
			write = rate
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%.2f\t%s\n", c.Kind, c.Name, c.Mode, c.Transport+", "+c.Provider, Size(c.Bytes), write(c.Old), write(c.New), c.Ratio, c.Verdict)
	}
	return table.Flush()
}
