package report

import (
	"encoding/json"
	"io"
	"slices"

	"github.com/sublet-hpc/sublet/bench/record"
	"github.com/sublet-hpc/sublet/bench/stats"
)

// Document is the object of --output json. Times are nanoseconds; what needs more samples than there
// are is null.
type Document struct {
	Results   []Result          `json:"results"`
	Baselines []Result          `json:"baselines"`
	Ratios    []Ratio           `json:"ratios"`
	Machine   record.Machine    `json:"machine"`
	Versions  record.Versions   `json:"versions"`
	Executors []record.Executor `json:"executors"`
	Notes     []string          `json:"notes"`
}

// Result is one series.
type Result struct {
	Kind      string    `json:"kind"`
	Name      string    `json:"name,omitempty"` // of a baseline
	Mode      string    `json:"mode"`
	Transport string    `json:"transport"`
	Provider  string    `json:"provider"`
	Bytes     int       `json:"bytes"`
	Against   int       `json:"against_bytes,omitempty"`
	Touched   bool      `json:"touched"`
	InFlight  int       `json:"in_flight"`
	Executors int       `json:"executors"`
	Clients   int       `json:"clients"`
	N         int       `json:"n"`
	P50       int64     `json:"p50_ns"`
	P99       *int64    `json:"p99_ns"`
	P999      *int64    `json:"p999_ns"`
	Min       int64     `json:"min_ns"`
	CI95      *[2]int64 `json:"ci95_ns"`
	PerSecond float64   `json:"per_second"`
	// Operations are how many a sample is the time of.
	Operations int `json:"operations"`
}

// Ratio compares with a baseline: times, or for bandwidth and throughput rates; 1 is equal.
type Ratio struct {
	Kind      string      `json:"kind"`
	Bytes     int         `json:"bytes"`
	Mode      string      `json:"mode"`
	InFlight  int         `json:"in_flight"`
	Touched   bool        `json:"touched"`
	Executors int         `json:"executors"`
	Baseline  string      `json:"baseline"`
	P50       float64     `json:"p50"`
	CI95      *[2]float64 `json:"ci95"`
	P99       *float64    `json:"p99"` // of the 99th percentiles; of latency only
	P99CI95   *[2]float64 `json:"p99_ci95"`
	N         int         `json:"n"`      // pairs of blocks
	Beside    bool        `json:"beside"` // they did not take turns
}

// New summarizes a run.
func New(run *record.Run) *Document {
	d := &Document{
		Results: []Result{}, Baselines: []Result{}, Ratios: []Ratio{},
		Machine: run.Machine, Versions: run.Versions, Executors: run.Executors, Notes: run.Notes,
	}
	for _, s := range run.Series {
		result := summarize(s)
		if s.Name == record.Sublet {
			d.Results = append(d.Results, result)
			continue
		}
		result.Name = s.Name
		d.Baselines = append(d.Baselines, result)
	}
	for _, ours := range run.Series {
		if ours.Name != record.Sublet {
			continue
		}
		for _, other := range run.Series {
			if other.Name == record.Sublet || other.Key() != ours.Key() {
				continue
			}
			if r, ok := compareWith(ours, other); ok {
				d.Ratios = append(d.Ratios, r)
			}
		}
	}
	return d
}

// compareWith pairs the blocks of both; not ok: there are none.
func compareWith(ours, other *record.Series) (Ratio, bool) {
	paired, ok := stats.Paired(ours.Values(), other.Values())
	r := Ratio{
		Kind: ours.Kind, Bytes: ours.Bytes, Mode: ours.Mode, InFlight: ours.InFlight, Touched: ours.Touched, Executors: ours.Executors,
		Baseline: other.Name, P50: paired.P50, CI95: paired.CI95, N: paired.N, Beside: other.Beside,
	}
	if ours.Kind == record.Latency {
		if tail, enough := stats.PairedQuantile(ours.BlockSamples(), other.BlockSamples(), 0.99); enough {
			r.P99, r.P99CI95 = &tail.P50, tail.CI95
		}
	}
	return r, ok
}

func summarize(s *record.Series) Result {
	sum := stats.Summarize(slices.Clone(s.Samples()))
	return Result{
		Kind: s.Kind, Mode: s.Mode, Transport: s.Transport, Provider: s.Provider, Bytes: s.Bytes, Against: s.Against, Touched: s.Touched,
		InFlight: s.InFlight, Executors: s.Executors, Clients: s.Clients, N: sum.N, P50: sum.P50, P99: sum.P99, P999: sum.P999,
		Min: sum.Min, CI95: sum.CI95, PerSecond: s.Rate(), Operations: s.Operations,
	}
}

// WriteJSON writes the document.
func (d *Document) WriteJSON(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(d)
}
