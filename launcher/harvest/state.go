package harvest

import (
	"maps"
	"slices"
	"time"

	"github.com/sublet-hpc/sublet/slurm"
)

// State is what a harvester knows beside what Slurm says. It is what the state file has.
type State struct {
	// Jobs are those that were asked for and have not ended, by name.
	Jobs map[string]Record `json:"jobs"`
	// IdleSince says since when nodes have been idle, as far as was seen.
	IdleSince map[string]time.Time `json:"idle_since"`
	// UnleasedSince says since when nodes of ours have had no lease.
	UnleasedSince map[string]time.Time `json:"unleased_since,omitempty"`
	// Submissions are the calls of sbatch in the last hour.
	Submissions []time.Time `json:"submissions"`
	// Failures are those without a success since, NodeFailures the same of each node.
	Failures     Failures            `json:"failures"`
	NodeFailures map[string]Failures `json:"node_failures,omitempty"`
	// Drained are the nodes that we have drained at the resource manager, to give them back.
	Drained map[string]time.Time `json:"drained,omitempty"`
	// Used is the node time of jobs that have ended, in nanoseconds; Ended counts them.
	Used  time.Duration `json:"used_ns"`
	Ended int           `json:"ended"`
	// Looked is the time of the last snapshot.
	Looked time.Time `json:"looked,omitzero"`
}

// Record is a job that was asked for.
type Record struct {
	Name string `json:"name"`
	Node string `json:"node"`
	// Job is 0 as long as nobody has said which number it has.
	Job slurm.JobID `json:"job,omitempty"`
	// Asked is when sbatch was called, Answered when it had ended.
	Asked    time.Time `json:"asked"`
	Answered time.Time `json:"answered,omitzero"`
	// Started is when Slurm started it; zero: it has not.
	Started time.Time `json:"started,omitzero"`
	// Ends is when its time limit is over.
	Ends time.Time `json:"ends,omitzero"`
	// Seen is when squeue showed it last.
	Seen time.Time `json:"seen,omitzero"`
	// GivenBack is when it was cancelled by us, and Why the reason.
	GivenBack time.Time `json:"given_back,omitzero"`
	Why       string    `json:"why,omitempty"`
}

// running tells whether it has its node.
func (r Record) running() bool { return !r.Started.IsZero() }

// leaving tells whether it was given back.
func (r Record) leaving() bool { return !r.GivenBack.IsZero() }

// Failures count what has failed in a row.
type Failures struct {
	Count  int       `json:"count"`
	Last   time.Time `json:"last,omitzero"`
	Reason string    `json:"reason,omitempty"`
}

// add notes one more.
func (f *Failures) add(at time.Time, reason string) {
	f.Count++
	f.Last, f.Reason = at, reason
}

// until is when the pause is over: it doubles with each failure.
func (f Failures) until() time.Time {
	if f.Count == 0 {
		return time.Time{}
	}
	pause := leastPause
	for range f.Count - 1 {
		if pause = min(2*pause, longestPause); pause == longestPause {
			break
		}
	}
	return f.Last.Add(pause)
}

// NewState is that of a run directory that was never harvested for.
func NewState() State {
	s := State{}
	s.complete()
	return s
}

// complete makes the maps that a file has left out.
func (s *State) complete() {
	for _, m := range []*map[string]time.Time{&s.IdleSince, &s.UnleasedSince, &s.Drained} {
		if *m == nil {
			*m = map[string]time.Time{}
		}
	}
	if s.Jobs == nil {
		s.Jobs = map[string]Record{}
	}
	if s.NodeFailures == nil {
		s.NodeFailures = map[string]Failures{}
	}
}

// clone copies it.
func (s State) clone() State {
	s.Jobs, s.NodeFailures = maps.Clone(s.Jobs), maps.Clone(s.NodeFailures)
	s.IdleSince, s.UnleasedSince, s.Drained = maps.Clone(s.IdleSince), maps.Clone(s.UnleasedSince), maps.Clone(s.Drained)
	s.Submissions = slices.Clone(s.Submissions)
	return s
}

// notAfter takes times that are to come for now: the clock was set back since, or was another host's. Nothing would be done until they
// have come. What Slurm has said is left as it is.
func (s *State) notAfter(now time.Time) {
	bound := func(at time.Time) time.Time {
		if at.After(now) {
			return now
		}
		return at
	}
	for _, times := range []map[string]time.Time{s.IdleSince, s.UnleasedSince, s.Drained} {
		for name, at := range times {
			times[name] = bound(at)
		}
	}
	for i, at := range s.Submissions {
		s.Submissions[i] = bound(at)
	}
	s.Failures.Last = bound(s.Failures.Last)
	for node, f := range s.NodeFailures {
		f.Last = bound(f.Last)
		s.NodeFailures[node] = f
	}
	for name, r := range s.Jobs {
		r.Asked, r.Answered, r.Seen, r.GivenBack = bound(r.Asked), bound(r.Answered), bound(r.Seen), bound(r.GivenBack)
		s.Jobs[name] = r
	}
}

// fail notes that a job, or the attempt to submit one, has failed.
func (s *State) fail(node string, at time.Time, reason string) {
	s.Failures.add(at, reason)
	if node != "" {
		f := s.NodeFailures[node]
		f.add(at, reason)
		s.NodeFailures[node] = f
	}
}

// records are the jobs in the order in which they were asked for.
func (s State) records() []Record {
	return slices.SortedFunc(maps.Values(s.Jobs), func(a, b Record) int {
		if c := a.Asked.Compare(b.Asked); c != 0 {
			return c
		}
		return compareNames(a.Name, b.Name)
	})
}

// Counts says how many jobs there are, by how far they have come.
func (s State) Counts() (running, pending, leaving int) {
	for _, r := range s.Jobs {
		switch {
		case r.leaving():
			leaving++
		case r.running():
			running++
		default:
			pending++
		}
	}
	return running, pending, leaving
}

// NodeTime is how long nodes have been used for, all together, until a time.
func (s State) NodeTime(now time.Time) time.Duration {
	used := s.Used
	for _, r := range s.Jobs {
		if r.running() {
			used += max(now.Sub(r.Started), 0)
		}
	}
	return used
}
