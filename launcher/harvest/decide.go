package harvest

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/sublet-hpc/sublet/slurm"
)

// Decision is what is to be done after a look.
type Decision struct {
	// GiveBack are the jobs that are to be cancelled, Submit the nodes that are to have one.
	GiveBack []Return
	Submit   []string
	// Nodes says of each node of the partition, by name, what is done with it and why.
	Nodes []Verdict
	// Limit says why no more nodes are used; empty: because there are no more.
	Limit string
}

// Return is a job that is to be cancelled.
type Return struct {
	Record
	Because string
	// Failed counts as a failure: the job should have started and has not.
	Failed bool
	// Idle: its node has no lease, and is given back only if it still has none when it takes no more of them.
	Idle bool
}

// Use is what is done with a node.
type Use string

// What can be done with a node.
const (
	Take      Use = "take"       // a job is submitted for it
	AskedFor  Use = "asked-for"  // a job is, and has not started
	Harvested Use = "harvested"  // a job of ours has it
	GiveBack  Use = "give-back"  // that job is cancelled
	Leaving   Use = "leaving"    // that job was cancelled, and is not gone yet
	LeftIdle  Use = "left-idle"  // it is idle, and is left so
	NotUsed   Use = "not-usable" // it can not be used
)

// Verdict is what is done with a node, and why.
type Verdict struct {
	Node string `json:"node"`
	// State is Slurm's, with flags.
	State string      `json:"state"`
	Use   Use         `json:"use"`
	Why   string      `json:"why"`
	Job   slurm.JobID `json:"job,omitempty"`
}

// Decide says what is to be done. It depends on its arguments alone, and changes none of them; state is that of
// [Observe] for the same snapshot.
func Decide(snapshot Snapshot, state State, policy Policy, now time.Time) Decision {
	d := decider{snapshot: snapshot, state: state, policy: policy, now: now, nodes: map[string]slurm.Node{}, ours: map[string]Record{}, returned: map[string]bool{}}
	for _, node := range snapshot.Nodes {
		d.nodes[node.Name] = node
	}
	d.removeSurplus()
	d.order()
	d.wanted = wants(snapshot, d.ours, d.yielding)
	d.giveBack()
	d.keepFree()
	d.submit()
	d.explain()
	return d.Decision
}

type decider struct {
	Decision
	snapshot Snapshot
	state    State
	policy   Policy
	now      time.Time
	nodes    map[string]slurm.Node
	ours     map[string]Record // by node
	yielding []string          // nodes of ours, in the order in which they are given back
	wanted   wanted
	returned map[string]bool // by the job's name
	why      map[string]string
}

// giveOne has a job cancelled, once. One whose number is not known can not be.
func (d *decider) giveOne(r Return) {
	if r.leaving() || r.Job == 0 || d.returned[r.Name] {
		return
	}
	d.returned[r.Name] = true
	d.GiveBack = append(d.GiveBack, r)
}

// staying are the jobs that have not been given back, in the order in which they were asked for.
func (d *decider) staying() []Record {
	return slices.DeleteFunc(d.state.records(), func(r Record) bool { return r.leaving() || d.returned[r.Name] })
}

// removeSurplus cancels what there should not be: a second job for a node, and more jobs than MaxNodes. Those that
// have not started go first, then the youngest.
func (d *decider) removeSurplus() {
	records := d.state.records()
	slices.SortStableFunc(records, func(a, b Record) int { return boolean(!a.running()) - boolean(!b.running()) })
	for _, r := range records {
		other, twice := d.ours[r.Node]
		switch {
		case !twice || other.leaving() && !r.leaving():
			d.ours[r.Node] = r
		case !r.leaving() && r.Node != "":
			d.giveOne(Return{Record: r, Because: fmt.Sprintf("job %d has the same node", other.Job)})
		}
	}
	surplus := len(d.staying()) - d.policy.MaxNodes
	for _, r := range slices.Backward(slices.DeleteFunc(records, func(r Record) bool { return r.leaving() || d.returned[r.Name] })) {
		if surplus <= 0 {
			break
		}
		if r.Job != 0 {
			surplus--
			d.giveOne(Return{Record: r, Because: fmt.Sprintf("there are to be %d at most", d.policy.MaxNodes)})
		}
	}
	for node, r := range d.ours {
		if d.returned[r.Name] {
			r.GivenBack = d.now
			d.ours[node] = r
		}
	}
}

// order says which nodes are given back first: those that have not started, then those without a lease, then the
// youngest.
func (d *decider) order() {
	for node := range d.ours {
		d.yielding = append(d.yielding, node)
	}
	slices.SortFunc(d.yielding, func(a, b string) int {
		x, y := d.ours[a], d.ours[b]
		return cmp.Or(
			boolean(x.running())-boolean(y.running()),
			boolean(d.snapshot.Demand.Registered[a] > 0)-boolean(d.snapshot.Demand.Registered[b] > 0),
			y.Started.Compare(x.Started), compareNames(a, b),
		)
	})
}

// giveBack gives back what is wanted, forbidden, in vain, or idle under OnDemand.
func (d *decider) giveBack() {
	for _, name := range d.yielding {
		r := d.ours[name]
		node, known := d.nodes[name]
		since := d.state.UnleasedSince[name]
		switch {
		case d.wanted[name] != "":
			d.giveOne(Return{Record: r, Because: d.wanted[name]})
		case known && forbidden(node, d.policy.Partition) != "" && !node.Is("COMPLETING", "NOT_RESPONDING"):
			d.giveOne(Return{Record: r, Because: forbidden(node, d.policy.Partition)})
		case d.suspended(r):
			d.giveOne(Return{Record: r, Because: "Slurm has suspended its job, so it is of no use to its leases"})
		case !r.running() && known && occupied(node) != "":
			d.giveOne(Return{Record: r, Because: "the node is another job's by now"})
		case !r.running() && d.now.Sub(r.Asked) > d.policy.startPatience():
			d.giveOne(Return{Record: r, Because: d.notStarted(r), Failed: true})
		case d.policy.OnDemand && r.running() && !since.IsZero() && d.snapshot.At.Sub(since) >= d.policy.IdleTimeout && d.snapshot.Demand.Missing == 0:
			d.giveOne(Return{Record: r, Because: fmt.Sprintf("it has had no lease for %v", d.snapshot.At.Sub(since).Round(time.Second)), Idle: true})
		}
	}
}

// suspended tells whether Slurm has stopped a job's processes, as PreemptMode=SUSPEND does.
func (d *decider) suspended(r Record) bool {
	return slices.ContainsFunc(d.snapshot.Jobs, func(job slurm.Job) bool { return job.Name == r.Name && job.State == "SUSPENDED" })
}

// notStarted says why a job is pending.
func (d *decider) notStarted(r Record) string {
	for _, job := range d.snapshot.Jobs {
		if job.ID == r.Job && job.Reason != "" && job.Reason != "None" {
			return fmt.Sprintf("it has not started for %v, and Slurm gives the reason %s", d.now.Sub(r.Asked).Round(time.Second), job.Reason)
		}
	}
	return fmt.Sprintf("it has not started for %v", d.now.Sub(r.Asked).Round(time.Second))
}

// leftIdle are the nodes of the partition that are idle, and that nobody has asked for, those that a job of ours is
// leaving among them.
func (d *decider) leftIdle() (names []string) {
	for _, node := range d.snapshot.Nodes {
		r, is := d.ours[node.Name]
		leaving := is && (r.leaving() || d.returned[r.Name])
		if forbidden(node, d.policy.Partition) == "" && d.wanted[node.Name] == "" && (leaving || !is && occupied(node) == "") {
			names = append(names, node.Name)
		}
	}
	slices.SortFunc(names, compareNames)
	return names
}

// keepFree gives nodes back until as many are idle as are to be left so.
func (d *decider) keepFree() {
	missing := d.policy.KeepFree - len(d.leftIdle())
	for _, name := range d.yielding {
		r := d.ours[name]
		if missing <= 0 {
			return
		}
		if r.leaving() || d.returned[r.Name] || r.Job == 0 {
			continue
		}
		missing--
		d.giveOne(Return{Record: r, Because: fmt.Sprintf("%d are to be left idle", d.policy.KeepFree)})
	}
}

// submit chooses the nodes that are to have a job, those first that have been idle for longest.
func (d *decider) submit() {
	d.why = map[string]string{}
	var usable []string
	for _, name := range d.leftIdle() {
		if why := d.unsuited(name); why != "" {
			d.why[name] = why
			continue
		}
		usable = append(usable, name)
	}
	slices.SortStableFunc(usable, func(a, b string) int { return d.state.IdleSince[a].Compare(d.state.IdleSince[b]) })
	room, limit := d.room()
	missing := d.missingCores()
	for _, name := range usable {
		switch {
		case d.policy.OnDemand && missing <= 0:
			d.limit(name, d.noDemand())
		case room <= 0:
			d.limit(name, limit)
		default:
			room--
			missing -= d.nodes[name].CPUs
			d.Submit = append(d.Submit, name)
		}
	}
}

func (d *decider) noDemand() string {
	if !d.snapshot.Demand.Known {
		return "the resource manager does not answer, so nobody knows whether a lease waits"
	}
	return "no lease waits for it"
}

func (d *decider) limit(node, why string) {
	d.why[node] = why
	d.Limit = why
}

// unsuited says why a node that is idle is not asked for.
func (d *decider) unsuited(name string) string {
	if r, is := d.ours[name]; is {
		return "job " + r.Job.String() + " of ours is just leaving it"
	}
	if until := d.state.NodeFailures[name].until(); d.now.Before(until) {
		f := d.state.NodeFailures[name]
		return fmt.Sprintf("jobs failed there %s in a row (%s); it rests for %v", times(f.Count), f.Reason, until.Sub(d.now).Round(time.Second))
	}
	since := d.state.IdleSince[name]
	if idle := d.snapshot.At.Sub(since); since.IsZero() || idle < d.policy.MinIdle {
		return fmt.Sprintf("it has been idle for %v, and is to be for %v", max(idle, 0).Round(time.Second), d.policy.MinIdle)
	}
	return ""
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// room is how many jobs may be submitted now, and what bounds that.
func (d *decider) room() (room int, limit string) {
	pending, all := 0, len(d.state.Jobs) // also those that are leaving: they are still there
	for _, r := range d.state.Jobs {
		if !r.running() {
			pending++
		}
	}
	room = d.policy.MaxNodes
	bound := func(n int, why string) {
		if n < room {
			room, limit = n, why
		}
	}
	limit = fmt.Sprintf("there are to be %d jobs at most", d.policy.MaxNodes)
	bound(d.policy.MaxNodes-all, limit)
	bound(len(d.leftIdle())-d.policy.KeepFree, fmt.Sprintf("%s to be left idle", countOf(d.policy.KeepFree, "node is", "nodes are")))
	bound(d.policy.Backlog-pending, fmt.Sprintf("%s at most may be submitted that have not started", countOf(d.policy.Backlog, "job", "jobs")))
	bound(d.policy.submissions()-len(d.state.Submissions), fmt.Sprintf("there were %d submissions in an hour", len(d.state.Submissions)))
	if f := d.state.Failures; f.Count > 0 {
		bound(1-pending, fmt.Sprintf("after a failure (%s) one job is tried first", f.Reason))
		if until := f.until(); d.now.Before(until) {
			bound(0, fmt.Sprintf("jobs or submissions failed %s in a row (%s); the next is tried in %v", times(f.Count), f.Reason, until.Sub(d.now).Round(time.Second)))
		}
	}
	return room, limit
}

func countOf(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// missingCores is how many cores leases wait for that no job which is on its way will bring.
func (d *decider) missingCores() int {
	missing := d.snapshot.Demand.Missing
	for _, r := range d.staying() {
		if _, registered := d.snapshot.Demand.Registered[r.Node]; !registered {
			missing -= d.nodes[r.Node].CPUs
		}
	}
	return missing
}
