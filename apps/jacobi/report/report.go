package report

import (
	"io"
	"slices"

	"github.com/sublet-hpc/sublet/apps/internal/outcome"
	"github.com/sublet-hpc/sublet/apps/internal/seat"
)

// Report is what a run found out. Fields that were not measured are left out, or null where a
// reader will look for them.
type Report struct {
	N int `json:"n"`
	// Entries are the coefficients that the matrix has, and Sparse tells whether it was kept
	// without the others.
	Entries int  `json:"entries"`
	Sparse  bool `json:"sparse"`
	// Seed and Dominance of a system that was generated, Matrix and RHS the files of one that
	// was read.
	Seed      *uint64  `json:"seed,omitempty"`
	Dominance *float64 `json:"dominance,omitempty"`
	Matrix    string   `json:"matrix,omitempty"`
	RHS       string   `json:"rhs,omitempty"`

	Ranks int `json:"ranks"`
	// OffloadPercent of the rows were to be offloaded; null: as many as pays.
	OffloadPercent *float64 `json:"offload_percent"`
	// Share is the part of the rows, 0 to 1, that executors computed, over the run, and ShareLast in its last iteration.
	Share     float64 `json:"share"`
	ShareLast float64 `json:"share_last"`
	// Divisions are how each rank's rows were divided.
	Divisions []Division `json:"divisions"`
	// Executors of all ranks.
	Executors int `json:"executors"`
	// Transport and Provider that executors were reached by, null if there were none; where
	// they differ, all of them, joined by "+".
	Transport *string `json:"transport"`
	Provider  *string `json:"provider"`
	// ExecutorMemory is how many bytes each executor may use, of different ones the least; null: there
	// were none.
	ExecutorMemory *int64 `json:"executor_memory_bytes"`

	Iterations int     `json:"iterations"`
	Tolerance  float64 `json:"tolerance"`
	// Residual is max|b-Ax| / max|b|, computed from the system anew at the end.
	Residual float64 `json:"residual"`

	// Seconds that the iterations took, and SetupSeconds what had to be done before: connecting,
	// leasing, generating the system, and sending the executors their rows.
	Seconds      float64 `json:"seconds"`
	SetupSeconds float64 `json:"setup_seconds"`
	// SecondsLocal is what the iterations took without executors, if the run has measured it, and
	// Speedup how many times as long as with them.
	SecondsLocal *float64 `json:"seconds_local,omitempty"`
	Speedup      *float64 `json:"speedup,omitempty"`
	// Difference is how far the two solutions are apart: max|x-y| / max|y|.
	Difference *float64 `json:"difference,omitempty"`

	// Cores that the run used, and CoresLocal those that its ranks used without executors.
	Cores      int `json:"cores"`
	CoresLocal int `json:"cores_local"`
	// Oversubscribed: executors shared their cores with ranks or with each other.
	Oversubscribed bool `json:"oversubscribed"`
	// Lost counts the executors that were lost, whose rows were computed again, by others or by their ranks.
	Lost int `json:"lost"`
	// Losses says why, for the first hundred of each rank.
	Losses []Loss `json:"losses"`

	// Verified tells whether the solution agrees with gonum's direct one; null: not compared.
	Verified *bool `json:"verified"`
	// Distance from the direct solution, if compared: max|x-y| / max|y|.
	Distance *float64 `json:"distance,omitempty"`

	Leased []Executor `json:"leased"`
}

// Executor is one executor that a rank leased.
type Executor struct {
	Rank           int    `json:"rank"`
	Index          int    `json:"index"`
	Node           string `json:"node"`
	Core           int    `json:"core"` // -1: not pinned
	Oversubscribed bool   `json:"oversubscribed"`
	Transport      string `json:"transport"`
	Provider       string `json:"provider"`
	// Rows that it computed in the last iteration.
	Rows int `json:"rows"`
	// RowsDone are those of all iterations, each as often as it was computed, Seconds what its function took for them, and
	// Busy the part of the iterations' time that this is, 0 to 1.
	RowsDone int64   `json:"rows_done"`
	Seconds  float64 `json:"seconds"`
	Busy     float64 `json:"busy"`
	// Memory that it may use.
	Memory int64 `json:"memory_bytes"`
}

// Loss is why a rank lost an executor.
type Loss = outcome.Loss

func (r *Report) addExecutors(leased []Executor) {
	r.Leased = append(r.Leased, leased...)
	r.Executors = len(r.Leased)
	r.Transport = outcome.Names(r.Leased, func(e Executor) string { return e.Transport })
	r.Provider = outcome.Names(r.Leased, func(e Executor) string { return e.Provider })
	for _, e := range leased {
		if r.ExecutorMemory == nil || e.Memory < *r.ExecutorMemory {
			r.ExecutorMemory = &e.Memory
		}
	}
	r.Oversubscribed = slices.ContainsFunc(r.Leased, func(e Executor) bool { return e.Oversubscribed })
}

// Places are where the executors ran.
func (r *Report) Places() (places []seat.Place) {
	for _, e := range r.Leased {
		places = append(places, seat.Place{Node: e.Node, Core: e.Core})
	}
	return places
}

// WriteJSON writes the report as one JSON object.
func (r *Report) WriteJSON(w io.Writer) error {
	whole := *r
	if whole.Leased == nil {
		whole.Leased = []Executor{}
	}
	if whole.Divisions == nil {
		whole.Divisions = []Division{}
	}
	if whole.Losses == nil {
		whole.Losses = []Loss{}
	}
	return outcome.WriteJSON(w, &whole)
}

// WriteLosses says which executors were lost, a line for each, as long as they are few.
func (r *Report) WriteLosses(w io.Writer) {
	outcome.WriteLosses(w, "jacobi", r.Losses, r.Lost)
}
