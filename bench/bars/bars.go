package bars

import (
	"slices"

	"github.com/sublet-hpc/sublet/bench/record"
	"github.com/sublet-hpc/sublet/bench/report"
	"github.com/sublet-hpc/sublet/bench/stats"
)

// Verdicts.
const (
	Aimed  = "aim"    // better than promised
	Holds  = "holds"  // as promised
	Missed = "missed" // worse
	TooFew = "too few samples"
)

// Bar is a promise and what was measured.
type Bar struct {
	What      string      `json:"what"`
	Transport string      `json:"transport"`
	Provider  string      `json:"provider"`
	Bytes     int         `json:"bytes"`
	Unit      string      `json:"unit"` // of value, bar and aim; empty: a ratio
	Value     float64     `json:"value"`
	CI95      *[2]float64 `json:"ci95"`
	AtLeast   bool        `json:"at_least"` // more is better
	Bar       float64     `json:"bar"`
	Aim       float64     `json:"aim"`
	Verdict   string      `json:"verdict"`
	Disturbed bool        `json:"disturbed"` // the run's notes say by what
}

// Missing is a promise that nothing was measured of.
type Missing struct {
	What string `json:"what"`
	Via  string `json:"via"`
	How  string `json:"how"`
}

// Table is every promise's row.
type Table struct {
	Bars    []Bar     `json:"bars"`
	Missing []Missing `json:"not_measured"`
}

// New looks runs up. What several have measured is taken from the latest.
func New(runs []*record.Run) *Table {
	latest := slices.Clone(runs)
	slices.SortStableFunc(latest, func(a, b *record.Run) int { return b.Began.Compare(a.Began) })
	t := &Table{Bars: []Bar{}, Missing: []Missing{}}
	for i := range promises {
		rows := promises[i].rows(latest)
		t.Bars = append(t.Bars, rows...)
		if len(rows) == 0 {
			p := &promises[i]
			t.Missing = append(t.Missing, Missing{p.what, p.via, p.how})
		}
	}
	return t
}

// place is what a promise has one row of.
type place struct {
	record.Key
	transport, provider string
}

func (p *promise) rows(runs []*record.Run) (rows []Bar) {
	seen := map[place]bool{}
	for _, run := range runs {
		for _, s := range run.Series {
			where := place{s.Key(), s.Transport, s.Provider}
			if s.Name != record.Sublet || !p.about(s) || seen[where] {
				continue
			}
			ratio, ok := p.figure(run, s)
			if !ok {
				continue
			}
			seen[where] = true
			rows = append(rows, p.row(run, s, ratio))
		}
	}
	return rows
}

// figure is the ratio, or Sublet's own figure in its unit; not ok: there is none.
func (p *promise) figure(run *record.Run, s *record.Series) (stats.Ratio, bool) {
	if p.baseline == "" {
		r := report.Center(s.Values())
		r.P50 /= p.scale
		if r.CI95 != nil {
			r.CI95 = &[2]float64{r.CI95[0] / p.scale, r.CI95[1] / p.scale}
		}
		return r, true
	}
	for _, other := range run.Series {
		if other.Name != p.baseline || other.Key() != s.Key() {
			continue
		}
		if p.tail {
			return stats.PairedQuantile(s.BlockSamples(), other.BlockSamples(), 0.99)
		}
		return stats.Paired(s.Values(), other.Values())
	}
	return stats.Ratio{}, false
}

func (p *promise) row(run *record.Run, s *record.Series, r stats.Ratio) Bar {
	b := Bar{
		What: p.what, Transport: s.Transport, Provider: s.Provider, Bytes: s.Bytes, Unit: p.unit, Value: r.P50, CI95: r.CI95,
		AtLeast: p.atLeast, Bar: p.bar, Aim: p.aim, Verdict: Missed, Disturbed: len(run.Notes) > 0,
	}
	switch {
	case r.CI95 == nil:
		b.Verdict = TooFew
	case p.within(r.CI95, p.aim):
		b.Verdict = Aimed
	case p.within(r.CI95, p.bar):
		b.Verdict = Holds
	}
	return b
}

// within tells whether an interval's better end is.
func (p *promise) within(ci *[2]float64, limit float64) bool {
	if p.atLeast {
		return ci[1] >= limit
	}
	return ci[0] <= limit
}
