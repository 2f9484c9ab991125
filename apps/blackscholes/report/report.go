package report

import (
	"fmt"
	"io"
	"slices"

	"github.com/sublet-hpc/sublet/apps/internal/outcome"
	"github.com/sublet-hpc/sublet/apps/internal/seat"
)

// Report is what a run found out. Fields that were not measured are left out, or null where a
// reader will look for them.
type Report struct {
	Options int64 `json:"options"`
	// Input is the file that they were read from, Seed what they were generated from.
	Input string  `json:"input,omitempty"`
	Seed  *uint64 `json:"seed,omitempty"`
	// Dividends counts the options that pay dividends, which the formula leaves out.
	Dividends int64 `json:"dividends"`

	Precision string `json:"precision"`
	Kernel    string `json:"kernel"`
	// Instructions are those of the kernel vector on rank 0's CPU: avx512, avx2 or baseline.
	Instructions string `json:"instructions,omitempty"`

	Ranks int `json:"ranks"`
	// Offload is what was asked for: a number of percent, or auto.
	Offload string `json:"offload"`
	// Share is the part of the options, 0 to 1, that executors priced.
	Share float64 `json:"share"`
	// NotOffloaded is why, with auto, nothing was offloaded at the end.
	NotOffloaded string `json:"not_offloaded,omitempty"`
	// Executors of all ranks.
	Executors int `json:"executors"`
	// Transport and Provider that executors were reached by, null if there were none; where
	// they differ, all of them, joined by "+".
	Transport *string `json:"transport"`
	Provider  *string `json:"provider"`

	// Seconds that pricing all options once took, on the rank that took longest: the median of PassSeconds, of which
	// there is one for each time. Nothing else is in it: reading, writing and leasing have their own.
	Seconds          float64   `json:"seconds"`
	PassSeconds      []float64 `json:"pass_seconds"`
	OptionsPerSecond float64   `json:"options_per_second"`
	// ReadingSeconds are spent in reading the file, or generating, and WritingSeconds in formatting and
	// writing prices, while others are read and priced; LeasingSeconds in connecting and leasing; each on the rank
	// that took longest. TotalSeconds are those of the whole run.
	ReadingSeconds float64 `json:"reading_seconds"`
	WritingSeconds float64 `json:"writing_seconds"`
	LeasingSeconds float64 `json:"leasing_seconds"`
	TotalSeconds   float64 `json:"total_seconds"`

	// Mismatches are prices that differ from the reference by Limit or more, and LargestDifference is the largest of all
	// differences; null: not compared.
	Mismatches        *int64   `json:"mismatches"`
	LargestDifference *float64 `json:"largest_difference,omitempty"`

	// Cores that the run used, and CoresLocal those that its ranks used without executors.
	Cores      int `json:"cores"`
	CoresLocal int `json:"cores_local"`
	// Oversubscribed: executors shared their cores with ranks or with each other.
	Oversubscribed bool `json:"oversubscribed"`
	// Lost counts the executors that were lost, whose options were priced again, by others or by their ranks.
	Lost int `json:"lost"`
	// Losses says why, for the first hundred of each rank.
	Losses []Loss `json:"losses"`

	// Seats are where the ranks ran, in their order.
	Seats  []seat.Seat `json:"seats"`
	Leased []Executor  `json:"leased"`
}

// Limit is from which difference on a price is a mismatch, as for PARSEC.
const Limit = 1e-4

// Executor is one executor that a rank leased.
type Executor struct {
	Rank           int    `json:"rank"`
	Index          int    `json:"index"`
	Node           string `json:"node"`
	Core           int    `json:"core"` // -1: not pinned
	Oversubscribed bool   `json:"oversubscribed"`
	Transport      string `json:"transport"`
	Provider       string `json:"provider"`
	// Options that it has priced, in all passes, and Seconds that its function has computed.
	Options int64   `json:"options"`
	Seconds float64 `json:"seconds"`
}

// Loss is why a rank lost an executor.
type Loss = outcome.Loss

// Add enters a rank's executors.
func (r *Report) Add(leased []Executor) {
	r.Leased = append(r.Leased, leased...)
	r.Executors = len(r.Leased)
	r.Transport = outcome.Names(r.Leased, func(e Executor) string { return e.Transport })
	r.Provider = outcome.Names(r.Leased, func(e Executor) string { return e.Provider })
	r.Oversubscribed = slices.ContainsFunc(r.Leased, func(e Executor) bool { return e.Oversubscribed })
}

// Complete fills in what follows from the rest.
func (r *Report) Complete() {
	r.Seconds = median(r.PassSeconds)
	if r.Seconds > 0 {
		r.OptionsPerSecond = float64(r.Options) / r.Seconds
	}
	var places []seat.Place
	var remote int64
	for _, e := range r.Leased {
		places = append(places, seat.Place{Node: e.Node, Core: e.Core})
		remote += e.Options
	}
	if all := r.Options * int64(len(r.PassSeconds)); all > 0 {
		r.Share = min(float64(remote)/float64(all), 1)
	}
	r.CoresLocal, r.Cores = seat.CountCores(r.Seats, nil), seat.CountCores(r.Seats, places)
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	switch {
	case n == 0:
		return 0
	case n%2 == 1:
		return sorted[n/2]
	}
	return (sorted[n/2-1] + sorted[n/2]) / 2
}

// WriteJSON writes the report as one JSON object.
func (r *Report) WriteJSON(w io.Writer) error {
	whole := *r
	if whole.Leased == nil {
		whole.Leased = []Executor{}
	}
	if whole.Losses == nil {
		whole.Losses = []Loss{}
	}
	return outcome.WriteJSON(w, &whole)
}

// WriteNotes says what a user should know beside the report: which executors were lost, a line for each as long as they
// are few, and what the formula leaves out.
func (r *Report) WriteNotes(w io.Writer) {
	outcome.WriteLosses(w, "blackscholes", r.Losses, r.Lost)
	if r.Dividends > 0 {
		fmt.Fprintf(w, "blackscholes: %d of the options pay dividends, which the formula leaves out, as PARSEC's program does\n", r.Dividends)
	}
}
