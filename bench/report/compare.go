package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/sublet-hpc/sublet/bench/record"
	"github.com/sublet-hpc/sublet/bench/stats"
)

// Change is how a series, or its ratio to a baseline, differs from the same one in an older run.
type Change struct {
	Kind      string      `json:"kind"`
	Name      string      `json:"name"`
	Baseline  string      `json:"baseline,omitempty"` // then Old and New are ratios to it
	Mode      string      `json:"mode"`
	Transport string      `json:"transport"`
	Provider  string      `json:"provider"`
	Bytes     int         `json:"bytes"`
	Touched   bool        `json:"touched"`
	InFlight  int         `json:"in_flight"`
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

// Compare says of each series that both runs have, and of its ratio to each baseline, what changed beyond
// noise: the 95 % intervals do not overlap. For a series they are those of the medians of blocks, and not of
// samples, because samples of one block share its disturbances.
func Compare(older, newer *record.Run) []Change {
	changes := []Change{}
	for _, s := range newer.Series {
		old := counterpart(older, s)
		if old == nil {
			continue
		}
		c := newChange(s)
		then, now := Center(old.Values()), Center(s.Values())
		c.Old, c.Old95, c.New, c.New95 = then.P50, then.CI95, now.P50, now.CI95
		c.judge(s.IsRate())
		changes = append(changes, c)
		if s.Name != record.Sublet {
			continue
		}
		for _, baseline := range newer.Series {
			before := counterpart(older, baseline)
			if baseline.Name == record.Sublet || baseline.Key() != s.Key() || before == nil {
				continue
			}
			then, _ := stats.Paired(old.Values(), before.Values())
			now, _ := stats.Paired(s.Values(), baseline.Values())
			c := newChange(s)
			c.Baseline, c.Old, c.Old95, c.New, c.New95 = baseline.Name, then.P50, then.CI95, now.P50, now.CI95
			c.judge(s.IsRate())
			changes = append(changes, c)
		}
	}
	return changes
}

// counterpart is the same series in another run; nil if it has none.
func counterpart(run *record.Run, s *record.Series) *record.Series {
	i := slices.IndexFunc(run.Series, func(o *record.Series) bool {
		return o.Key() == s.Key() && o.Name == s.Name && o.Transport == s.Transport && o.Provider == s.Provider
	})
	if i < 0 {
		return nil
	}
	return run.Series[i]
}

func newChange(s *record.Series) Change {
	return Change{
		Kind: s.Kind, Name: s.Name, Mode: s.Mode, Transport: s.Transport, Provider: s.Provider, Bytes: s.Bytes, Touched: s.Touched,
		InFlight: s.InFlight, Executors: s.Executors, Clients: s.Clients,
	}
}

// judge compares old and new, of which more may be better.
func (c *Change) judge(moreIsBetter bool) {
	if c.Old > 0 {
		c.Ratio = c.New / c.Old
	}
	switch {
	case c.Old95 == nil || c.New95 == nil:
		c.Verdict = "too few samples"
	case c.Old95[1] >= c.New95[0] && c.New95[1] >= c.Old95[0]:
		c.Verdict = "same"
	case (c.New < c.Old) != moreIsBetter:
		c.Verdict = "better"
	default:
		c.Verdict = "worse"
	}
}

// Center is the median of values with its interval; it sorts them. There is at least one.
func Center(values []float64) stats.Ratio {
	slices.Sort(values)
	r := stats.Ratio{N: len(values), P50: stats.Median(values)}
	if interval, ok := stats.Median95(values); ok {
		r.CI95 = &interval
	}
	return r
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
		who := c.Name
		if c.Baseline != "" {
			who += " / " + c.Baseline
			write = func(ratio float64) string { return fmt.Sprintf("%.2f", ratio) }
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%.2f\t%s\n", c.what(), who, c.Mode, c.Transport+", "+c.Provider, Size(c.Bytes), write(c.Old), write(c.New), c.Ratio, c.Verdict)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for i, run := range []*record.Run{older, newer} {
		if n := only(run, []*record.Run{newer, older}[i]); n > 0 {
			fmt.Fprintf(w, "\n%d series are in the %s file alone.\n", n, []string{"older", "newer"}[i])
		}
	}
	return nil
}

// what a change is of, with what is not as usual.
func (c *Change) what() string {
	what := []string{c.Kind}
	add := func(format string, n int) { what = append(what, fmt.Sprintf(format, n)) }
	if c.Kind == record.Throughput || c.Executors > 1 {
		add("%d executors", c.Executors)
	}
	if c.Clients > 1 {
		add("%d clients", c.Clients)
	}
	if c.InFlight > 1 {
		add("%d in flight", c.InFlight)
	}
	if !c.Touched && c.Kind == record.Latency {
		what = append(what, "untouched")
	}
	return strings.Join(what, ", ")
}

func only(run, other *record.Run) (n int) {
	for _, s := range run.Series {
		if counterpart(other, s) == nil {
			n++
		}
	}
	return n
}
