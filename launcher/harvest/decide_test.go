package harvest_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/sublet-hpc/sublet/launcher/harvest"
	"github.com/sublet-hpc/sublet/slurm"
)

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// table is a cluster in which nothing happens but what is decided; each look is an interval after the last.
type table struct {
	policy harvest.Policy
	nodes  []slurm.Node // without jobs of ours
	others []slurm.Job
	ours   map[string]slurm.Job // by name
	gone   []slurm.Job
	state  harvest.State
	now    time.Time
	next   slurm.JobID
	demand harvest.Demand
}

func newTable(policy harvest.Policy, nodes []slurm.Node, others ...slurm.Job) *table {
	return &table{policy: policy, nodes: nodes, others: others, ours: map[string]slurm.Job{}, state: harvest.NewState(), now: noon, next: 1000}
}

func (c *table) snapshot() harvest.Snapshot {
	snapshot := harvest.Snapshot{At: c.now, Nodes: slices.Clone(c.nodes), Jobs: slices.Concat(c.others, c.gone), Demand: c.demand}
	for _, job := range c.ours {
		snapshot.Jobs = append(snapshot.Jobs, job)
		for i, node := range snapshot.Nodes {
			if slices.Contains(job.Nodes, node.Name) {
				snapshot.Nodes[i].State, snapshot.Nodes[i].AllocatedCPUs = slurm.NodeAllocated, node.CPUs
			}
		}
	}
	return snapshot
}

// look is one turn: what was decided is done, and Slurm starts what can start.
func (c *table) look() harvest.Decision {
	snapshot := c.snapshot()
	c.state, _ = harvest.Observe(snapshot, c.state, c.policy)
	decision := harvest.Decide(snapshot, c.state, c.policy, c.now)
	for _, r := range decision.GiveBack {
		record := c.state.Jobs[r.Name]
		record.GivenBack, record.Why = c.now, r.Because
		c.state.Jobs[r.Name] = record
		job := c.ours[r.Name]
		job.State, job.Ends = "CANCELLED", c.now
		delete(c.ours, r.Name)
		c.gone = append(c.gone, job)
	}
	for _, node := range decision.Submit {
		name := fmt.Sprintf("%s%012d", c.policy.Names.Prefix(), c.next)
		c.state.Jobs[name] = harvest.Record{Name: name, Node: node, Job: c.next, Asked: c.now, Answered: c.now}
		c.state.Submissions = append(c.state.Submissions, c.now)
		c.ours[name] = slurm.Job{ID: c.next, Name: name, User: "ann", UserID: "1001", State: "RUNNING", Nodes: []string{node}, NodeCount: 1, Started: c.now, Ends: c.now.Add(time.Hour)}
		c.next++
	}
	c.now = c.now.Add(c.policy.Interval)
	return decision
}

func drawPolicy(t *rapid.T) harvest.Policy {
	policy := polite("/runs/today")
	policy.MaxNodes = rapid.IntRange(1, 12).Draw(t, "max-nodes")
	policy.KeepFree = rapid.IntRange(0, 3).Draw(t, "keep-free")
	policy.Backlog = rapid.IntRange(1, 6).Draw(t, "backlog")
	policy.MinIdle = time.Duration(rapid.IntRange(0, 90).Draw(t, "min-idle")) * time.Second
	policy.MaxSubmissions = rapid.IntRange(20, 200).Draw(t, "max-submissions")
	return policy
}

func drawCluster(t *rapid.T) (nodes []slurm.Node, jobs []slurm.Job) {
	count := rapid.IntRange(1, 14).Draw(t, "nodes")
	flags := []string{"DRAIN", "CLOUD", "POWERED_DOWN", "POWERING_UP", "POWERING_DOWN", "PLANNED", "RESERVED", "MAINTENANCE", "NOT_RESPONDING", "COMPLETING", "SOMETHING_NEW"}
	for i := range count {
		node := slurm.Node{Name: fmt.Sprintf("n%d", i+1), CPUs: 4, State: slurm.NodeIdle}
		node.State = rapid.SampledFrom([]slurm.NodeState{slurm.NodeIdle, slurm.NodeIdle, slurm.NodeIdle, slurm.NodeAllocated, slurm.NodeMixed, slurm.NodeDown}).Draw(t, "state")
		if node.State == slurm.NodeAllocated {
			node.AllocatedCPUs = 4
		}
		if rapid.IntRange(0, 4).Draw(t, "flagged") == 0 {
			node.Flags = []string{rapid.SampledFrom(flags).Draw(t, "flag")}
		}
		node.Partitions = rapid.SampledFrom([][]string{{"batch", "harvest"}, {"batch", "harvest"}, {"harvest"}, {"batch"}, {"short", "harvest"}}).Draw(t, "partitions")
		nodes = append(nodes, node)
	}
	for i := range rapid.IntRange(0, 5).Draw(t, "waiting") {
		job := slurm.Job{ID: slurm.JobID(i + 1), Name: "work", User: "bob", State: "PENDING", Submitted: noon.Add(-time.Duration(i) * time.Minute)}
		job.Reason = rapid.SampledFrom([]string{"Resources", "Resources", "Priority", "Dependency", "QOSMaxJobsPerUserLimit", "None"}).Draw(t, "reason")
		job.Partition = rapid.SampledFrom([]string{"batch", "short", "batch,short", "harvest"}).Draw(t, "partition")
		job.NodeCount = rapid.IntRange(1, 6).Draw(t, "node count")
		if rapid.IntRange(0, 3).Draw(t, "asks for nodes") == 0 {
			job.RequestedNodes = []string{rapid.SampledFrom(nodes).Draw(t, "requested").Name}
		}
		if rapid.IntRange(0, 3).Draw(t, "excludes nodes") == 0 {
			job.ExcludedNodes = []string{rapid.SampledFrom(nodes).Draw(t, "excluded").Name}
		}
		if rapid.IntRange(0, 3).Draw(t, "is an array") == 0 {
			job.ArrayTask = rapid.SampledFrom([]string{"1-3", "2,5-6", "1-100%2", "7"}).Draw(t, "tasks")
		}
		jobs = append(jobs, job)
	}
	return nodes, jobs
}

// check looks whether a decision keeps within its bounds.
func (c *table) check(t *rapid.T, before harvest.Snapshot, jobs int, decision harvest.Decision) {
	nodes := map[string]slurm.Node{}
	for _, node := range before.Nodes {
		nodes[node.Name] = node
	}
	seen := map[string]bool{}
	for _, name := range decision.Submit {
		node := nodes[name]
		if node.State != slurm.NodeIdle || len(node.Flags) > 0 || node.AllocatedCPUs > 0 || !slices.Contains(node.Partitions, "harvest") || seen[name] {
			t.Fatalf("a job is submitted for %+v", node)
		}
		seen[name] = true
	}
	for _, r := range decision.GiveBack {
		if r.Job == 0 || seen[r.Node] || seen[r.Name] || !strings.HasPrefix(r.Name, "sublet-harvest-") {
			t.Fatalf("%+v is given back", r)
		}
		seen[r.Name] = true
	}
	if all := len(c.state.Jobs); all > c.policy.MaxNodes && all > jobs {
		t.Fatalf("%d jobs, and there are to be %d at most", all, c.policy.MaxNodes)
	}
	if len(decision.Submit) > c.policy.Backlog || len(c.state.Submissions) > c.policy.MaxSubmissions {
		t.Fatalf("%d submissions now and %d in an hour", len(decision.Submit), len(c.state.Submissions))
	}
	for _, node := range before.Nodes {
		said := slices.ContainsFunc(decision.Nodes, func(v harvest.Verdict) bool { return v.Node == node.Name && v.Why != "" })
		if said != slices.Contains(node.Partitions, "harvest") {
			t.Fatalf("what is said of the nodes is %+v; of %s %v", decision.Nodes, node.Name, said)
		}
	}
}

// Over any cluster in any state: bounds are kept, no forbidden node is used, what was decided once is not undone at
// the next look, and after a while nothing is decided any more.
func TestDecisionsKeepWithinBoundsAndSettle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		nodes, jobs := drawCluster(t)
		c := newTable(drawPolicy(t), nodes)
		turn := func() harvest.Decision {
			before, state := c.snapshot(), c.state
			had := len(state.Jobs)
			again := harvest.Decide(before, state, c.policy, c.now)
			if diff := cmp.Diff(again, harvest.Decide(before, state, c.policy, c.now)); diff != "" {
				t.Fatalf("the same twice gives another decision:\n%s", diff)
			}
			decision := c.look()
			c.check(t, before, had, decision)
			return decision
		}
		settle := func(what string) {
			for look := range 25 {
				if decision := turn(); look > 20 && len(decision.Submit)+len(decision.GiveBack) > 0 {
					t.Fatalf("%s: look %d still submits %v and gives back %+v", what, look, decision.Submit, decision.GiveBack)
				}
			}
		}
		settle("nobody waits")
		c.others = jobs
		settle("jobs wait")
		given := harvest.Decide(c.snapshot(), c.state, c.policy, c.now)
		for _, job := range jobs {
			if job.Reason == "Resources" {
				checkServed(t, c, job, jobs, given)
				break // others may want the same nodes
			}
		}
		other, _ := drawCluster(t) // an administrator, and other jobs, change everything
		for i := range min(len(other), len(c.nodes)) {
			c.nodes[i].State, c.nodes[i].Flags, c.nodes[i].AllocatedCPUs = other[i].State, other[i].Flags, other[i].AllocatedCPUs
		}
		settle("everything has changed")
	})
}

// checkServed fails if a job waits for nodes that are ours.
func checkServed(t *rapid.T, c *table, job slurm.Job, all []slurm.Job, decision harvest.Decision) {
	if slices.ContainsFunc(all, func(other slurm.Job) bool { return other.ID != job.ID && other.Reason == "Resources" }) {
		return
	}
	idle, ours := 0, 0
	for _, node := range c.snapshot().Nodes {
		inReach := slices.ContainsFunc(strings.Split(job.Partition, ","), func(p string) bool { return slices.Contains(node.Partitions, p) })
		if !inReach || slices.Contains(job.ExcludedNodes, node.Name) {
			continue
		}
		held := slices.ContainsFunc(decision.Nodes, func(v harvest.Verdict) bool { return v.Node == node.Name && v.Use == harvest.Harvested })
		if held {
			ours++
		} else if node.State == slurm.NodeIdle && (len(node.Flags) == 0 || node.Flags[0] == "PLANNED") {
			idle++
		}
		if held && slices.Contains(job.RequestedNodes, node.Name) {
			t.Fatalf("job %+v wants %s, which is not given back", job, node.Name)
		}
	}
	if ours > 0 && idle < max(job.NodeCount, 1) {
		t.Fatalf("job %+v waits, %d nodes are idle, and %d are kept from it", job, idle, ours)
	}
}

// idleNodes are nodes that nobody uses.
func idleNodes(n int) (nodes []slurm.Node) {
	for i := range n {
		nodes = append(nodes, slurm.Node{Name: fmt.Sprintf("n%d", i+1), State: slurm.NodeIdle, Partitions: []string{"batch", "harvest"}, CPUs: 4})
	}
	return nodes
}

// greedy is a policy that takes all there is at once.
func greedy() harvest.Policy {
	policy := polite("/runs/today")
	policy.KeepFree, policy.MinIdle, policy.MaxNodes, policy.Backlog, policy.Interval = 0, 0, 10, 10, 10*time.Second
	return policy
}

func TestOnDemandFollowsLeases(t *testing.T) {
	policy := greedy()
	policy.OnDemand, policy.IdleTimeout = true, time.Minute
	c := newTable(policy, idleNodes(5))
	steps := []struct {
		what   string
		demand harvest.Demand
		submit int
		back   int
	}{
		{"the resource manager is away", harvest.Demand{}, 0, 0},
		{"nobody waits", harvest.Demand{Known: true}, 0, 0},
		{"6 executors wait, and a node has 4 cores", harvest.Demand{Known: true, Missing: 6}, 2, 0},
		{"they wait, but nodes are on their way", harvest.Demand{Known: true, Missing: 6}, 0, 0},
		{"nodes have registered, and have leases", harvest.Demand{Known: true, Registered: map[string]int{"n1": 1, "n2": 1}}, 0, 0},
		{"one lease has ended", harvest.Demand{Known: true, Registered: map[string]int{"n1": 1, "n2": 0}}, 0, 0},
	}
	for _, step := range steps {
		c.demand = step.demand
		if decision := c.look(); len(decision.Submit) != step.submit || len(decision.GiveBack) != step.back {
			t.Errorf("%s: %v is submitted, and %+v given back", step.what, decision.Submit, decision.GiveBack)
		}
	}
	for range 5 {
		if decision := c.look(); len(decision.GiveBack) > 0 {
			t.Errorf("given back too early: %+v", decision.GiveBack)
		}
	}
	decision := c.look()
	if len(decision.GiveBack) != 1 || decision.GiveBack[0].Node != "n2" || !decision.GiveBack[0].Idle {
		t.Errorf("after a minute without a lease %+v is given back", decision.GiveBack)
	}
}

// What a pending job wants, and what it does not.
func TestPendingJobsOfOthers(t *testing.T) {
	job := slurm.Job{ID: 7, Name: "work", User: "bob", Partition: "batch", State: "PENDING", Reason: "Resources", NodeCount: 2}
	for _, test := range []struct {
		what   string
		change func(*slurm.Job)
		back   int
	}{
		{"two nodes", func(*slurm.Job) {}, 2},
		{"more than there are", func(j *slurm.Job) { j.NodeCount = 9 }, 4},
		{"more than there are, behind another", func(j *slurm.Job) { j.NodeCount, j.Reason = 9, "Priority" }, 0},
		{"what could start, behind another", func(j *slurm.Job) { j.Reason = "Priority" }, 2},
		{"two nodes, one of them n3", func(j *slurm.Job) { j.RequestedNodes = []string{"n3"} }, 2},
		{"all but two", func(j *slurm.Job) { j.NodeCount, j.ExcludedNodes = 4, []string{"n1", "n2"} }, 2},
		{"tasks of an array", func(j *slurm.Job) { j.NodeCount, j.ArrayTask = 1, "4-6" }, 3},
		{"tasks of an array, one at a time", func(j *slurm.Job) { j.NodeCount, j.ArrayTask = 1, "4-600%1" }, 1},
		{"another's end", func(j *slurm.Job) { j.Reason = "Dependency" }, 0},
		{"nodes of a reservation", func(j *slurm.Job) { j.Reservation = "course" }, 0},
		{"nodes elsewhere", func(j *slurm.Job) { j.Partition = "gpu" }, 0},
		{"an idle node for another harvester", func(j *slurm.Job) { j.Name = "sublet-harvest-00000000-1" }, 0},
	} {
		c := newTable(greedy(), idleNodes(4))
		if decision := c.look(); len(decision.Submit) != 4 {
			t.Fatalf("%v is submitted", decision.Submit)
		}
		c.look()
		wanting := job
		test.change(&wanting)
		c.others = []slurm.Job{wanting}
		decision := c.look()
		if len(decision.GiveBack) != test.back {
			t.Errorf("a job wants %s: %d nodes are given back, want %d: %+v", test.what, len(decision.GiveBack), test.back, decision.GiveBack)
		}
		for _, requested := range wanting.RequestedNodes {
			if !slices.ContainsFunc(decision.GiveBack, func(r harvest.Return) bool { return r.Node == requested }) {
				t.Errorf("a job wants %s: %s is not given back", test.what, requested)
			}
		}
		c.look()
		if decision := c.look(); len(decision.Submit)+len(decision.GiveBack) > 0 {
			t.Errorf("a job wants %s: later %v is submitted, and %+v given back", test.what, decision.Submit, decision.GiveBack)
		}
	}
}

// Each reason why a node is not used is said.
func TestVerdicts(t *testing.T) {
	nodes := idleNodes(4)
	nodes[0].Flags = []string{"CLOUD", "POWERED_DOWN"}
	nodes[1].Flags, nodes[1].Reason = []string{"DRAIN"}, "new kernel"
	nodes[2].State, nodes[2].AllocatedCPUs = slurm.NodeMixed, 1
	policy := greedy()
	policy.MinIdle = 15 * time.Second
	c := newTable(policy, nodes)
	want := []harvest.Verdict{
		{Node: "n1", State: "idle+cloud+powered_down", Use: harvest.NotUsed, Why: "it is in the cloud"},
		{Node: "n2", State: "idle+drain", Use: harvest.NotUsed, Why: "it is drained (new kernel)"},
		{Node: "n3", State: "mixed", Use: harvest.NotUsed, Why: "it is mixed"},
		{Node: "n4", State: "idle", Use: harvest.LeftIdle, Why: "it has been idle for 0s, and is to be for 15s"},
	}
	if diff := cmp.Diff(want, c.look().Nodes); diff != "" {
		t.Errorf("first look (-want +got):\n%s", diff)
	}
	c.look()
	want[3].Use, want[3].Why = harvest.Take, "it is idle, and nobody wants it"
	if diff := cmp.Diff(want, c.look().Nodes); diff != "" {
		t.Errorf("third look (-want +got):\n%s", diff)
	}
	want[3] = harvest.Verdict{Node: "n4", State: "allocated", Use: harvest.Harvested, Why: "its executor manager has not registered yet", Job: 1000}
	c.demand = harvest.Demand{Known: true}
	if diff := cmp.Diff(want, c.look().Nodes); diff != "" {
		t.Errorf("fourth look (-want +got):\n%s", diff)
	}
}
