package report

import (
	"fmt"

	"github.com/sublet-hpc/sublet/apps/internal/outcome"
)

// Offloaded is what a rank tells of its executors.
type Offloaded struct {
	Division Division
	Leased   []Executor
	Lost     int
	Losses   []Loss
}

// Division is how a rank's rows were divided between itself and its executors.
type Division struct {
	Rank int `json:"rank"`
	// Rows of the rank, and RowsOffloaded those that executors computed in the last iteration.
	Rows          int `json:"rows"`
	RowsOffloaded int `json:"rows_offloaded"`
	// RowsDone are those that the rank computed itself, and RowsDoneByExecutors the others, each as often as it was computed:
	// in all iterations and the one that belongs to the set-up.
	RowsDone            int64 `json:"rows_done"`
	RowsDoneByExecutors int64 `json:"rows_done_by_executors"`
	// Moves is how many iterations have had other parts than those before. MovedRows went to an executor that had not had
	// them. MovingSeconds is what it took this rank, as part of the iterations, to make the executors' copies of rows;
	// LeaseSeconds is what leasing took meanwhile, if the rank began without executors.
	Moves         int     `json:"moves"`
	MovedRows     int64   `json:"moved_rows"`
	MovingSeconds float64 `json:"moving_seconds"`
	LeaseSeconds  float64 `json:"lease_seconds"`
	// Off is why nothing was offloaded at the end, with --offload auto; empty: something was.
	Off string `json:"off,omitempty"`
}

// Add enters what a rank has told.
func (r *Report) Add(rank Offloaded) {
	r.Divisions = append(r.Divisions, rank.Division)
	r.addExecutors(rank.Leased)
	r.Lost += rank.Lost
	r.Losses = append(r.Losses, rank.Losses...)

	last, all, done, byExecutors := 0, 0, 0.0, 0.0
	for _, d := range r.Divisions {
		last += d.RowsOffloaded
		all += d.Rows
		done += float64(d.RowsDone)
		byExecutors += float64(d.RowsDoneByExecutors)
	}
	r.ShareLast = float64(last) / float64(max(all, 1))
	r.Share = byExecutors / max(done+byExecutors, 1)
}

// share says in one line how the rows were divided.
func (r *Report) share() string {
	text := fmt.Sprintf("%.1f %% of the rows on executors at the end, %.1f %% over the run", 100*r.ShareLast, 100*r.Share)
	moves, rows, seconds := 0, int64(0), 0.0
	for _, d := range r.Divisions {
		moves += d.Moves
		rows += d.MovedRows
		seconds = max(seconds, d.MovingSeconds)
	}
	if moves > 0 {
		text += fmt.Sprintf("; moved %s, %s anew to an executor, %.3f s", times(moves), outcome.Count(int(rows), "row"), seconds)
	}
	return text
}

// off says why nothing was offloaded, for the first rank of which that is so.
func (r *Report) off() string {
	for _, d := range r.Divisions {
		if d.Off != "" {
			return fmt.Sprintf("rank %d: %s", d.Rank, d.Off)
		}
	}
	return ""
}

// line is an executor's in the table.
func (e *Executor) line() string {
	text := fmt.Sprintf("rank %d, %s", e.Rank, e.Node)
	if e.Core >= 0 {
		text += fmt.Sprintf(" core %d", e.Core)
	}
	return text + fmt.Sprintf(": %s at the end; %d in %.3f s over the run, busy for %.0f %% of it", outcome.Count(e.Rows, "row"), e.RowsDone, e.Seconds, 100*e.Busy)
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}
