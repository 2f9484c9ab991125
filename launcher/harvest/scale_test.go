package harvest_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/sublet-hpc/sublet/launcher/harvest"
	"github.com/sublet-hpc/sublet/slurm"
)

// One decision on a cluster of 5,000 nodes, 200 of them idle and 300 harvested, for which 10,000 jobs wait, is a small part of the
// interval.
func BenchmarkDecide(b *testing.B) {
	policy := polite("/runs/today")
	policy.MaxNodes = 300
	now := time.Unix(1_800_000_000, 0)
	snapshot := harvest.Snapshot{At: now}
	state := harvest.NewState()
	for i := range 5000 {
		node := slurm.Node{Name: fmt.Sprintf("n%d", i), State: slurm.NodeAllocated, CPUs: 64, AllocatedCPUs: 64, Partitions: []string{"batch", "harvest"}}
		if i < 200 {
			node.State, node.AllocatedCPUs = slurm.NodeIdle, 0
		}
		snapshot.Nodes = append(snapshot.Nodes, node)
		if i >= 200 && i < 500 {
			name := fmt.Sprintf("%s%012d", policy.Names.Prefix(), i)
			job := slurm.Job{ID: slurm.JobID(i), Name: name, UserID: "1001", State: "RUNNING", Nodes: []string{node.Name}, NodeCount: 1, Started: now.Add(-time.Hour)}
			snapshot.Jobs = append(snapshot.Jobs, job)
			state.Jobs[name] = harvest.Record{Name: name, Node: node.Name, Job: job.ID, Asked: now.Add(-time.Hour)}
		}
	}
	for i := range 10_000 {
		job := slurm.Job{ID: slurm.JobID(10_000 + i), User: "bob", Partition: "batch", State: "PENDING", Reason: "Priority", NodeCount: 600}
		if i%100 == 0 {
			job.NodeCount, job.ArrayTask = 1, "1-1000%3"
		}
		snapshot.Jobs = append(snapshot.Jobs, job)
	}
	for b.Loop() {
		after, _ := harvest.Observe(snapshot, state, policy)
		if decision := harvest.Decide(snapshot, after, policy, now); len(decision.GiveBack) == 0 {
			b.Fatal("nothing is given back, and others wait")
		}
	}
}
