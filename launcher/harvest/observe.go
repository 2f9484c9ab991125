package harvest

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/sublet-hpc/sublet/slurm"
)

// Event is something that a look has shown.
type Event struct {
	Text   string // what has happened
	Job    slurm.JobID
	Name   string // of the job
	Node   string
	Reason string
	Ended  bool // the job is no more
	Failed bool
}

// Observe is the state after a look. It changes nothing but the state, and has no clock beside the snapshot's time.
func Observe(snapshot Snapshot, before State, policy Policy) (State, []Event) {
	before = before.clone()
	before.notAfter(snapshot.At)
	o := observer{snapshot: snapshot, policy: policy, state: before.clone(), ours: map[string]slurm.Job{}, nodes: map[string]slurm.Node{}}
	for _, node := range snapshot.Nodes {
		o.nodes[node.Name] = node
	}
	for _, job := range snapshot.Jobs {
		o.meet(job)
	}
	for _, record := range before.records() {
		o.follow(record)
	}
	o.succeed()
	o.noteIdle()
	o.state.Submissions = slices.DeleteFunc(o.state.Submissions, func(at time.Time) bool { return snapshot.At.Sub(at) >= hour })
	o.state.Looked = snapshot.At
	return o.state, o.events
}

type observer struct {
	snapshot Snapshot
	policy   Policy
	state    State
	ours     map[string]slurm.Job // by name
	nodes    map[string]slurm.Node
	events   []Event
}

// meet notes a job of ours, also one that the state does not know: the state file was lost, or the harvester
// was killed before it could write what sbatch said.
func (o *observer) meet(job slurm.Job) {
	name := o.policy.Names.Of(job)
	if name == "" {
		return
	}
	if other, twice := o.ours[name]; twice && other.Ended() && job.Ended() && other.ID > job.ID {
		return
	} else if twice && !other.Ended() && job.Ended() {
		return
	}
	o.ours[name] = job
	if _, known := o.state.Jobs[name]; known || job.Ended() {
		return
	}
	record := Record{Name: name, Job: job.ID, Asked: orTime(job.Submitted, o.snapshot.At), Answered: o.snapshot.At, Seen: o.snapshot.At}
	record = o.update(record, job)
	o.state.Jobs[name] = record
	o.events = append(o.events, Event{Text: "found a job of ours that was not written down", Job: job.ID, Name: name, Node: record.Node})
}

func orTime(a, b time.Time) time.Time {
	if a.IsZero() {
		return b
	}
	return a
}

// update takes over what squeue says of a job that has not ended.
func (o *observer) update(record Record, job slurm.Job) Record {
	record.Job, record.Seen = job.ID, o.snapshot.At
	if nodes := slices.Concat(job.Nodes, job.RequestedNodes); len(nodes) > 0 {
		record.Node = nodes[0]
	}
	if job.Pending() {
		record.Started, record.Ends = time.Time{}, time.Time{}
		return record
	}
	record.Started, record.Ends = orTime(job.Started, o.snapshot.At), job.Ends
	return record
}

// follow says what has become of a job that was asked for.
func (o *observer) follow(record Record) {
	job, found := o.ours[record.Name]
	at := o.snapshot.At
	switch {
	case found && job.Ended():
		o.end(o.lastOf(record, job), job)
	case found:
		updated := o.update(record, job)
		if record.Job == 0 {
			o.events = append(o.events, Event{Text: "found the job of which sbatch had said nothing", Job: job.ID, Name: record.Name, Node: updated.Node})
		}
		if !record.running() && updated.running() {
			o.events = append(o.events, Event{Text: "job has started", Job: job.ID, Name: record.Name, Node: updated.Node})
		}
		if updated.leaving() && !job.Completing() && at.Sub(updated.GivenBack) >= leastInterval {
			updated.GivenBack, updated.Why = time.Time{}, "" // scancel did not reach it
		}
		o.state.Jobs[record.Name] = updated
	case !at.After(orTime(record.Answered, record.Asked)):
		// squeue was called before sbatch had ended.
	case record.Job == 0 && at.Before(record.Asked.Add(Settle)):
		// It may still come.
	case record.Job == 0:
		delete(o.state.Jobs, record.Name)
		o.events = append(o.events, Event{Text: "the job of which sbatch had said nothing never came", Name: record.Name, Node: record.Node})
	default:
		o.end(record, slurm.Job{ID: record.Job})
	}
}

// lastOf completes a record from what squeue says of a job that has ended.
func (o *observer) lastOf(record Record, job slurm.Job) Record {
	record.Job = job.ID
	if len(job.Nodes) > 0 && !job.Started.IsZero() {
		record.Started = job.Started
	}
	record.Seen = orTime(job.Ends, o.snapshot.At)
	return record
}

// end notes that a job is no more, and whether that was a failure. Of a job that squeue does not show any more,
// nothing but its number is known.
func (o *observer) end(record Record, job slurm.Job) {
	delete(o.state.Jobs, record.Name)
	ran := time.Duration(0)
	if record.running() {
		ran = max(record.Seen.Sub(record.Started), 0)
	}
	o.state.Used += ran
	o.state.Ended++
	event := Event{Text: "job has ended", Job: record.Job, Name: record.Name, Node: record.Node, Ended: true}
	event.Reason, event.Failed = o.verdict(record, job, ran)
	if event.Failed {
		o.state.fail(record.Node, o.snapshot.At, event.Reason)
	} else if ran >= quickEnd {
		delete(o.state.NodeFailures, record.Node)
	}
	o.events = append(o.events, event)
}

// verdict says why a job has ended, and whether that was a failure.
func (o *observer) verdict(record Record, job slurm.Job, ran time.Duration) (reason string, failed bool) {
	node, known := o.nodes[record.Node]
	switch {
	case record.leaving():
		return "given back: " + record.Why, false
	case job.State == "PREEMPTED" || !job.Preempted.IsZero():
		return "preempted", false
	case known && occupied(node) != "" && node.State != slurm.NodeDown && !o.has(record.Node):
		return "another job has its node", false
	case job.State == "CANCELLED":
		return fmt.Sprintf("somebody cancelled job %d", record.Job), true
	case !record.running():
		return fmt.Sprintf("job %d has ended without having started (%s)", record.Job, cmp.Or(job.State, "squeue does not show it any more")), true
	case ran < quickEnd:
		return fmt.Sprintf("job %d has ended after %v (%s, exit status %d); its output says why", record.Job, ran.Round(time.Second), cmp.Or(job.State, "squeue does not show it any more"), job.ExitCode), true
	}
	return cmp.Or(job.State, "squeue does not show it any more"), false
}

// has tells whether another job of ours is on a node.
func (o *observer) has(node string) bool {
	for _, record := range o.state.Jobs {
		if record.Node == node && record.running() {
			return true
		}
	}
	return false
}

// succeed forgets failures where a job that has started since has run for long enough.
func (o *observer) succeed() {
	for _, record := range o.state.Jobs {
		if !record.running() || o.snapshot.At.Sub(record.Started) < quickEnd {
			continue
		}
		delete(o.state.NodeFailures, record.Node)
		if record.Asked.After(o.state.Failures.Last) {
			o.state.Failures = Failures{}
		}
	}
}

// noteIdle notes since when nodes have been idle, and since when those of ours have had no lease.
func (o *observer) noteIdle() {
	note := func(since map[string]time.Time, node string, is bool) {
		if !is {
			delete(since, node)
		} else if since[node].IsZero() {
			since[node] = o.snapshot.At
		}
	}
	for name := range o.state.IdleSince {
		if _, known := o.nodes[name]; !known {
			delete(o.state.IdleSince, name)
		}
	}
	for name, node := range o.nodes {
		note(o.state.IdleSince, name, forbidden(node, o.policy.Partition) == "" && occupied(node) == "")
	}
	if !o.snapshot.Demand.Known {
		clear(o.state.UnleasedSince) // nobody knows
		return
	}
	for name := range o.state.UnleasedSince {
		note(o.state.UnleasedSince, name, o.unleased(name))
	}
	for name := range o.snapshot.Demand.Registered {
		note(o.state.UnleasedSince, name, o.unleased(name))
	}
}

// unleased tells whether a node of ours is registered and has no lease.
func (o *observer) unleased(node string) bool {
	leases, registered := o.snapshot.Demand.Registered[node]
	return registered && leases == 0 && o.has(node)
}
