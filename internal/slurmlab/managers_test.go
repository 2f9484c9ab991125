//go:build slurmlab

package slurmlab_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sublet-hpc/sublet/apps/jacobi/report"
	"github.com/sublet-hpc/sublet/internal/slurmlab"
)

// Executor managers of a plain job, srun'd on three nodes: an MPI program on the fourth leases executors on all of them,
// computes and gives them back. When the job has been cancelled, nothing is left on any node.
func TestManagersOfAPlainJob(t *testing.T) {
	lab := slurmlab.Open(t)
	c := lab.NewCluster(t)
	managers := lab.Submit(t, c.Manage("--cores 1"), "--nodelist=n[1-3]", "--nodes=3", "--exclusive", "--partition=harvest")
	c.AwaitNodes(t, "n1", "n2", "n3")

	r := solve(t, lab, c, "mpirun -n 1", "--executors 3", "--nodes=1", "--nodelist=n4")
	if nodes := nodesOf(r); !slices.Equal(nodes, []string{"n1", "n2", "n3"}) || r.Lost != 0 {
		t.Errorf("the executors were on %v; %d were lost", nodes, r.Lost)
	}

	managers.Cancel(t)
	lab.AwaitClean(t, 10*time.Second)
	c.AwaitNodes(t)
}

// solve has Jacobi solve a system in a job of its own, half of it on leased executors. It compares its solution with
// the direct one, and fails if that is another.
func solve(t *testing.T, lab *slurmlab.Lab, c *slurmlab.Cluster, launch, flags string, options ...string) report.Report {
	t.Helper()
	job := submitJacobi(t, lab, c, launch, flags, options...)
	job.Await(t, "COMPLETED")
	r := job.report(t)
	if r.Verified == nil || !*r.Verified {
		t.Errorf("the solution was not verified: %+v", r)
	}
	return r
}

// jacobi is a job that runs the solver.
type jacobi struct {
	*slurmlab.Job
	printed string // the file with its report
}

func submitJacobi(t *testing.T, lab *slurmlab.Lab, c *slurmlab.Cluster, launch, flags string, options ...string) jacobi {
	t.Helper()
	j := jacobi{printed: filepath.Join(lab.Folder(t), "report.json")}
	j.Job = lab.Submit(t, "export SUBLET_DIR="+c.Dir+" SUBLET_BIN="+lab.Bin+" OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1\n"+
		launch+" "+filepath.Join(lab.Bin, "jacobi")+" --offload 50 --report json "+flags+" >"+j.printed,
		append([]string{"--exclusive"}, options...)...)
	return j
}

// report reads what the solver has found.
func (j jacobi) report(t *testing.T) report.Report {
	t.Helper()
	text, err := os.ReadFile(j.printed)
	if err != nil {
		t.Fatal(err)
	}
	var r report.Report
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return r
}

// nodesOf are the nodes that a report's executors were on, each once.
func nodesOf(r report.Report) []string {
	var nodes []string
	for _, e := range r.Leased {
		nodes = append(nodes, strings.TrimSpace(e.Node))
	}
	slices.Sort(nodes)
	return slices.Compact(nodes)
}
