package harvest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sublet-hpc/sublet/slurm"
)

// Summary is a run directory's harvest at a glance.
type Summary struct {
	// Running: there is a harvester, process PID on Host. If not, jobs of one may still be there.
	Running   bool   `json:"running"`
	Host      string `json:"host"`
	PID       int    `json:"pid"`
	Partition string `json:"partition"`
	OnDemand  bool   `json:"on_demand,omitempty"`
	// Nodes are used by jobs of ours; Pending jobs have not started; Leaving were cancelled and are not gone.
	Nodes    int `json:"nodes"`
	Pending  int `json:"pending"`
	Leaving  int `json:"leaving"`
	MaxNodes int `json:"max_nodes"`
	// NodeHours are those of all jobs, ended or not; Ended counts those that have.
	NodeHours float64 `json:"node_hours"`
	Ended     int     `json:"jobs_ended"`
	// Submissions are the calls of sbatch in the last hour.
	Submissions int `json:"submissions_last_hour"`
	// Looked is when Slurm has last answered.
	Looked time.Time `json:"looked,omitzero"`
	// Limit says why no more nodes are used, Error what was wrong with the last look.
	Limit string `json:"limit,omitempty"`
	Error string `json:"error,omitempty"`
	// Calls are those of Slurm's commands since the harvester was started.
	Calls slurm.Counters `json:"slurm_calls"`
	// Failures in a row, and until when nothing is submitted because of them.
	Failures    int       `json:"failures"`
	PausedUntil time.Time `json:"paused_until,omitzero"`
}

// Summarize reads what a harvester has written; nil if there never was one.
func Summarize(directory string, now time.Time) (*Summary, error) {
	file, err := Read(directory)
	if errors.Is(err, ErrNotHarvested) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	s := Summary{
		Running: Running(directory), Host: file.Host, PID: file.PID,
		Partition: file.Policy.Partition, OnDemand: file.Policy.OnDemand, MaxNodes: file.Policy.MaxNodes,
		NodeHours: file.nodeTime(now).Hours(), Ended: file.State.Ended,
		Looked: file.State.Looked, Limit: file.Limit, Error: file.Error, Calls: file.Calls, Failures: file.State.Failures.Count,
	}
	s.Nodes, s.Pending, s.Leaving = file.State.Counts()
	for _, at := range file.State.Submissions {
		if now.Sub(at) < hour {
			s.Submissions++
		}
	}
	if until := file.State.Failures.until(); until.After(now) {
		s.PausedUntil = until
	}
	return &s, nil
}

// nodeTime counts jobs that have not ended up to now while there is a harvester that sees them end, and up to the
// last look if there is none.
func (f File) nodeTime(now time.Time) time.Duration {
	if f.State.Looked.Before(now.Add(-10 * f.Policy.Interval)) {
		now = f.State.Looked
	}
	return f.State.NodeTime(now)
}

// Lines are the summary for people.
func (s Summary) Lines(now time.Time) []string {
	if s.Partition == "" { // what it has written can not be read
		return []string{s.Error}
	}
	first := fmt.Sprintf("%s of partition %s, at most %d", countOf(s.Nodes, "node", "nodes"), s.Partition, s.MaxNodes)
	if s.OnDemand {
		first += ", on demand"
	}
	if s.Pending > 0 {
		first += fmt.Sprintf("; %s not started", countOf(s.Pending, "job has", "jobs have"))
	}
	if s.Leaving > 0 {
		first += fmt.Sprintf("; %s being given back", countOf(s.Leaving, "is", "are"))
	}
	first += fmt.Sprintf("; %.2f node hours used", s.NodeHours)
	lines := []string{first}
	if !s.Running {
		lines = append(lines, fmt.Sprintf("no harvester runs (the last was process %d on %s)", s.PID, s.Host))
		if s.Nodes+s.Pending > 0 {
			lines = append(lines, "nobody gives these nodes back before their time limit: start it again, or: sublet slurm harvest --give-back")
		}
		return lines
	}
	switch {
	case s.Error != "":
		lines = append(lines, "last look: "+s.Error)
	case s.Looked.IsZero():
		lines = append(lines, "Slurm has not answered yet")
	case s.Limit != "":
		lines = append(lines, "no more because "+s.Limit)
	}
	if calls := callsText(s.Calls); calls != "" {
		lines = append(lines, "calls of Slurm: "+calls)
	}
	if !s.Looked.IsZero() && now.Sub(s.Looked) > time.Minute {
		lines = append(lines, fmt.Sprintf("Slurm has last answered %v ago", now.Sub(s.Looked).Round(time.Second)))
	}
	return lines
}

// callsText says how often each of Slurm's commands was called, and how often in vain: sbatch 4 (1 failed), squeue 10.
func callsText(calls slurm.Counters) string {
	var parts []string
	for _, command := range slices.Sorted(maps.Keys(calls)) {
		counter := calls[command]
		part := fmt.Sprintf("%s %d", command, counter.Calls)
		if counter.Failures > 0 {
			part += fmt.Sprintf(" (%d failed)", counter.Failures)
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, ", ")
}
