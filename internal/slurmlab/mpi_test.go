//go:build slurmlab

package slurmlab_test

import (
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sublet-hpc/sublet/internal/hosts"
	"github.com/sublet-hpc/sublet/internal/slurmlab"
)

// MPI programs of two ranks on two nodes, started by mpirun and by srun, have half of their work done on the two that
// a harvester has found idle, and say so.
func TestRanksOnTwoNodesOffloadToHarvestedOnes(t *testing.T) {
	lab := slurmlab.Open(t)
	c := lab.NewCluster(t)
	hosts.Start(t, harvestCommand(lab, c, "--max-nodes", "2"))
	lent, others := awaitHarvest(t, lab, c)
	for _, launch := range []string{"mpirun -n 2 --map-by ppr:1:node", "srun --mpi=pmix -n 2 --ntasks-per-node=1"} {
		r := solve(t, lab, c, launch, "--executors 2 --size 1000 --verify", "--nodes=2", "--nodelist="+strings.Join(others, ","))
		if nodes := nodesOf(r); r.Ranks != 2 || r.Lost != 0 || !slices.Equal(nodes, lent) {
			t.Errorf("%s: %d ranks, executors on %v, %d of them lost; %v lend", launch, r.Ranks, nodes, r.Lost, lent)
		}
	}
}

// awaitHarvest waits until two nodes lend, and returns them and the others.
func awaitHarvest(t *testing.T, lab *slurmlab.Lab, c *slurmlab.Cluster) (lent, others []string) {
	t.Helper()
	slurmlab.Eventually(t, "two nodes lend", func() bool {
		lent = c.Nodes(t)
		return len(lent) == 2
	})
	return lent, slices.DeleteFunc(slices.Clone(lab.Nodes), func(node string) bool { return slices.Contains(lent, node) })
}

// A job that goes before takes harvested nodes while an MPI program computes on them. The program's answer is right, and
// nothing is left on those nodes.
func TestHarvestedNodesArePreempted(t *testing.T) {
	lab := slurmlab.Open(t)
	c := lab.NewCluster(t)
	h := hosts.Start(t, harvestCommand(lab, c, "--max-nodes", "2"))
	lent, others := awaitHarvest(t, lab, c)
	h.End(t, syscall.SIGTERM) // or it would harvest the nodes again when that job has ended
	program := submitJacobi(t, lab, c, "mpirun -n 1", long, "--nodes=1", "--nodelist="+others[0])
	slurmlab.Eventually(t, "an executor computes", func() bool { return computes(t, lab, lent[0]) || computes(t, lab, lent[1]) })

	began := time.Now()
	urgent := lab.Submit(t, "sleep 1", "--partition=batch", "--nodes=2", "--nodelist="+strings.Join(lent, ","), "--exclusive")
	urgent.Await(t, "RUNNING", "COMPLETED")
	took := time.Since(began)
	t.Logf("the urgent job runs %v after it was submitted", took.Round(time.Millisecond))
	if took > 4*time.Second { // of which a second is Slurm's, until it signals
		t.Errorf("the urgent job ran %v after it was submitted", took)
	}
	lab.AwaitClean(t, 5*time.Second, lent...)
	endsWell(t, program, drained)
}
