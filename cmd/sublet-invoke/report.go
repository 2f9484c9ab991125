package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/sublet-hpc/sublet/cmd/internal/output"
	"github.com/sublet-hpc/sublet/cmd/sublet-invoke/options"
)

// report is what is told of a run, and the object of --output json. Times are nanoseconds.
type report struct {
	Function    string     `json:"function"`
	Library     string     `json:"library"`
	Executors   []executor `json:"executors"`
	Invocations int        `json:"invocations"`
	BytesIn     int        `json:"bytes_in"`
	BytesOut    int        `json:"bytes_out"` // of the last invocation
	Lease       int64      `json:"lease_ns"`
	Elapsed     int64      `json:"elapsed_ns"`

	// Round trips.
	First  int64  `json:"first_ns"`
	Median int64  `json:"median_ns"`
	P99    *int64 `json:"p99_ns,omitempty"`
	Min    int64  `json:"min_ns"`
	Max    int64  `json:"max_ns"`

	FunctionMedian int64 `json:"function_median_ns"`

	cores int // of each executor
}

// enoughForP99 is where ten samples lie above it: with fewer, one or two accidents decide.
const enoughForP99 = 1000

func newReport(o *options.Options, bytesIn int, r *result) *report {
	roundTrips, inFunction := make([]int64, len(r.samples)), make([]int64, len(r.samples))
	for i, s := range r.samples {
		roundTrips[i], inFunction[i] = s.roundTrip.Nanoseconds(), s.inFunction.Nanoseconds()
	}
	first := roundTrips[0]
	slices.Sort(roundTrips)
	slices.Sort(inFunction)
	report := &report{
		Function: o.Function, Library: r.library, Executors: r.executors, Invocations: len(r.samples),
		BytesIn: bytesIn, BytesOut: len(r.output), Lease: r.leasing.Nanoseconds(), Elapsed: r.elapsed.Nanoseconds(),
		First: first, Median: quantile(roundTrips, 50), Min: roundTrips[0], Max: roundTrips[len(roundTrips)-1],
		FunctionMedian: quantile(inFunction, 50), cores: o.Cores,
	}
	if len(roundTrips) >= enoughForP99 {
		p99 := quantile(roundTrips, 99)
		report.P99 = &p99
	}
	return report
}

// quantile is the smallest of the sorted values that so many percent of them do not exceed.
func quantile(sorted []int64, percent int) int64 {
	rank := (len(sorted)*percent + 99) / 100
	return sorted[max(rank, 1)-1]
}

func (r *report) write(w io.Writer, format output.Format) error {
	switch format {
	case output.JSON:
		return output.WriteJSON(w, r)
	case output.Quiet:
		_, err := fmt.Fprintln(w, r.Median)
		return err
	}
	return r.writeTable(w)
}

func (r *report) writeTable(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	line := func(name, format string, args ...any) { fmt.Fprintf(table, name+"\t"+format+"\n", args...) }
	line("function", "%s of %s", r.Function, r.Library)
	line("executors", "%s%s on %s", count(len(r.Executors), "executor"), r.ofCores(), strings.Join(unique(r.Executors, func(e executor) string { return e.Node }), ", "))
	if r.shared() > 0 {
		line("", "%s", r.sharing())
	}
	line("transport", "%s", strings.Join(unique(r.Executors, func(e executor) string { return e.Transport + ", provider " + e.Provider }), "; "))
	line("invocations", "%d in %s, after %s for the lease", r.Invocations, clock(r.Elapsed), clock(r.Lease))
	line("bytes", "%d in, %d out", r.BytesIn, r.BytesOut)
	if r.Invocations == 1 {
		line("round trip", "%s", clock(r.First))
		line("in function", "%s", clock(r.FunctionMedian))
		return table.Flush()
	}
	p99 := fmt.Sprintf("no p99 from fewer than %d", enoughForP99)
	if r.P99 != nil {
		p99 = "p99 " + clock(*r.P99)
	}
	line("round trip", "median %s, %s, min %s; the first %s", clock(r.Median), p99, clock(r.Min), clock(r.First))
	line("in function", "median %s", clock(r.FunctionMedian))
	return table.Flush()
}

// ofCores says how many cores each executor has, if that is more than one.
func (r *report) ofCores() string {
	if r.cores <= 1 {
		return ""
	}
	return fmt.Sprintf(" of %d cores each", r.cores)
}

// shared is how many executors share their core.
func (r *report) shared() int {
	n := 0
	for _, e := range r.Executors {
		if e.Oversubscribed {
			n++
		}
	}
	return n
}

// warning is what a format does not say that must be said; empty if nothing.
func (r *report) warning(format output.Format) string {
	if format == output.Quiet && r.shared() > 0 {
		return r.sharing()
	}
	return ""
}

func (r *report) sharing() string {
	return fmt.Sprintf("%d of %s shared a core, for too few were free: times are not what free cores give", r.shared(), count(len(r.Executors), "executor"))
}

// unique are the different texts of the executors, in the order of these.
func unique(executors []executor, text func(executor) string) []string {
	var found []string
	for _, e := range executors {
		if t := text(e); !slices.Contains(found, t) {
			found = append(found, t)
		}
	}
	return found
}

// clock writes a time with three digits, or the few more that it takes to the next unit.
func clock(ns int64) string {
	value, unit := float64(ns), ""
	switch {
	case ns < 1e3:
		return fmt.Sprintf("%d ns", ns)
	case ns < 1e6:
		value, unit = value/1e3, "µs"
	case ns < 1e9:
		value, unit = value/1e6, "ms"
	default:
		value, unit = value/1e9, "s"
	}
	switch {
	case value < 10:
		return fmt.Sprintf("%.2f %s", value, unit)
	case value < 100:
		return fmt.Sprintf("%.1f %s", value, unit)
	}
	return fmt.Sprintf("%.0f %s", value, unit)
}

func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}
