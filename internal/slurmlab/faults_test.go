//go:build slurmlab

package slurmlab_test

import (
	"encoding/json"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sublet-hpc/sublet/apps/jacobi/report"
	"github.com/sublet-hpc/sublet/internal/slurmlab"
)

// long makes Jacobi compute for some seconds, longer on a busy machine.
const long = "--executors 1 --iterations 1000 --size 2000 --verify"

// harvested are executor managers on n1 and n2 in a job that can be preempted, and an MPI program on n4 that has an
// executor of one of them, node.
func harvested(t *testing.T, lab *slurmlab.Lab) (c *slurmlab.Cluster, managers *slurmlab.Job, program jacobi, node string) {
	t.Helper()
	c = lab.NewCluster(t)
	managers = lab.Submit(t, c.Manage("--cores 1 --grace 8s"), "--nodelist=n[1-2]", "--nodes=2", "--exclusive", "--partition=harvest", "--time=10")
	c.AwaitNodes(t, "n1", "n2")
	program = submitJacobi(t, lab, c, "mpirun -n 1", long, "--nodes=1", "--nodelist=n4")
	slurmlab.Eventually(t, "its lease", func() bool {
		for _, n := range c.List(t) {
			if len(n.Leases) > 0 {
				node = n.Name
			}
		}
		return node != ""
	})
	slurmlab.Eventually(t, "that its executor computes", func() bool { return computes(t, lab, node) })
	return c, managers, program, node
}

// computes tells whether an executor on a node has had more of a processor than its start takes.
func computes(t *testing.T, lab *slurmlab.Lab, node string) bool {
	t.Helper()
	for _, process := range lab.Processes(t, node) {
		words := strings.Fields(process)
		if words[1] != "sublet-executor" {
			continue
		}
		stat, err := os.ReadFile("/proc/" + words[0] + "/stat")
		if err != nil {
			continue // it has gone
		}
		fields := strings.Fields(string(stat)) // its name has no blanks
		if ticks, err := strconv.Atoi(fields[13]); err == nil && ticks > 50 {
			return true
		}
	}
	return false
}

// Causes of losses, as programs report them.
const (
	drained = "its executor manager ended: "
	silent  = "has not answered"
)

// endsWell waits for the program, whose solution is right although it has lost executors to a cause.
func endsWell(t *testing.T, program jacobi, cause string) {
	t.Helper()
	program.Await(t, "COMPLETED")
	r := program.report(t)
	if r.Verified == nil || !*r.Verified {
		t.Errorf("the solution was not verified: %+v", r)
	}
	causes := []string{}
	for _, loss := range r.Losses {
		causes = append(causes, loss.Text)
	}
	if cause == "" && r.Lost > 0 || cause != "" && !slices.ContainsFunc(causes, func(c string) bool { return strings.Contains(c, cause) }) {
		t.Errorf("lost %d, to be %q: %v", r.Lost, cause, causes)
	}
}

// A job of the partition that goes before has harvested nodes within three seconds, while an MPI program computes on
// them; the program's answer is right, and nothing of the managers is left on the nodes. Theirs is queued again.
func TestPreemption(t *testing.T) {
	lab := slurmlab.Open(t)
	c, managers, program, _ := harvested(t, lab)
	began := time.Now()
	urgent := lab.Submit(t, "sleep 1", "--nodelist=n[1-2]", "--nodes=2", "--exclusive", "--partition=batch")
	urgent.Await(t, "RUNNING", "COMPLETED")
	took := time.Since(began)
	t.Logf("the urgent job runs %v after it was submitted", took.Round(time.Millisecond))
	if took > 4*time.Second { // of which a second is Slurm's, until it signals
		t.Errorf("the urgent job ran %v after it was submitted", took)
	}
	lab.AwaitClean(t, 5*time.Second, "n1", "n2")
	c.AwaitNodes(t)
	if log := managers.Printed(); strings.Count(log, "it was told to end") != 2 {
		t.Errorf("the managers were not told to end, or did not hear it")
	}
	endsWell(t, program, drained)
	managers.Await(t, "PENDING", "RUNNING") // again
	managers.Cancel(t)
	lab.AwaitClean(t, 15*time.Second)
}

// When a job's time is over its managers learn from Slurm.
func TestManagersKnowTheEnd(t *testing.T) {
	lab := slurmlab.Open(t)
	c := lab.NewCluster(t)
	managers := lab.Submit(t, c.Manage("--cores 1"), "--nodelist=n1", "--nodes=1", "--exclusive", "--partition=harvest", "--time=10")
	slurmlab.Eventually(t, "the end of its allocation", func() bool {
		nodes := c.List(t)
		return len(nodes) == 1 && !nodes[0].Outlook.Ends.IsZero()
	})
	outlook := c.List(t)[0].Outlook
	ends, err := time.ParseInLocation("2006-01-02T15:04:05", managers.Record()["EndTime"], time.Local)
	if err != nil || !outlook.Ends.Equal(ends) || !outlook.LendsUntil.Equal(ends.Add(-time.Minute)) {
		t.Errorf("Slurm says %v (%v), the manager %+v", ends, err, outlook)
	}
	managers.Cancel(t)
	lab.AwaitClean(t, 15*time.Second)
}

// Some time before the end of an allocation its managers have gone, with their job, and what they had lent is elsewhere.
func TestWalltime(t *testing.T) {
	lab := slurmlab.Open(t)
	c := lab.NewCluster(t)
	managers := lab.Submit(t, c.Manage("--cores 1 --ends $(($(date +%s) + 20)) --drain-before 10s"), "--nodelist=n1", "--nodes=1", "--exclusive", "--partition=harvest")
	c.AwaitNodes(t, "n1")
	outlook := c.List(t)[0].Outlook
	program := submitJacobi(t, lab, c, "mpirun -n 1", "--executors 1 --iterations 3000 --size 2000 --verify", "--nodes=1", "--nodelist=n4")
	managers.Await(t, "COMPLETED")
	if at := time.Now(); at.Before(outlook.LendsUntil) || at.After(outlook.Ends) {
		t.Errorf("the managers' job ended at %v: %+v", at, outlook)
	}
	lab.AwaitClean(t, 5*time.Second, "n1")
	endsWell(t, program, drained)
}

// A node crashes: the program computes on, and the resource manager writes the node off.
func TestNodeCrashes(t *testing.T) {
	lab := slurmlab.Open(t)
	c, _, program, node := harvested(t, lab)
	other := "n1"
	if node == other {
		other = "n2"
	}
	lab.Crash(t, node)
	c.AwaitNodes(t, other)
	endsWell(t, program, silent)
}

// A node is cut off, and comes back: the program loses its executor and computes on; when the network is healed the
// node's manager is lent again, without anybody's help.
func TestNodeIsCutOffAndComesBack(t *testing.T) {
	lab := slurmlab.Open(t)
	c, managers, program, node := harvested(t, lab)
	other := "n1"
	if node == other {
		other = "n2"
	}
	lab.Cut(t, node)
	c.AwaitNodes(t, other)
	lab.Heal(t, node)
	c.AwaitNodes(t, "n1", "n2")
	endsWell(t, program, silent)
	managers.Cancel(t)
	lab.AwaitClean(t, 15*time.Second)
}

// slurmctld is away for half a minute: nobody who lends or computes notices.
func TestControllerIsAway(t *testing.T) {
	lab := slurmlab.Open(t)
	c, managers, program, _ := harvested(t, lab)
	lab.StopController(t)
	began := time.Now()
	if nodes := solveBeside(t, lab, c); !slices.Equal(nodes, []string{"n1"}) && !slices.Equal(nodes, []string{"n2"}) {
		t.Errorf("a program that does not ask Slurm had executors on %v", nodes)
	}
	<-time.After(30*time.Second - time.Since(began)) // that is what it is about
	if nodes := c.Nodes(t); !slices.Equal(nodes, []string{"n1", "n2"}) {
		t.Errorf("after 30 s without slurmctld %v lend", nodes)
	}
	lab.StartController(t)
	endsWell(t, program, "")
	managers.Cancel(t)
	lab.AwaitClean(t, 15*time.Second)
}

// solveBeside runs the solver without any job, on n3, and returns where its executors were.
func solveBeside(t *testing.T, lab *slurmlab.Lab, c *slurmlab.Cluster) []string {
	t.Helper()
	out := lab.Run(t, "n3", "env", "SUBLET_DIR="+c.Dir, "SUBLET_BIN="+lab.Bin, "OMPI_ALLOW_RUN_AS_ROOT=1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1",
		"mpirun", "-n", "1", lab.Bin+"/jacobi", "--size", "500", "--report", "json")
	var r report.Report
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return nodesOf(r)
}
