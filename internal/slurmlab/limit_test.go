//go:build slurmlab

package slurmlab_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sublet-hpc/sublet/internal/slurmlab"
	"github.com/sublet-hpc/sublet/resources/api"
)

// endOf is when Slurm says that a job ends.
func endOf(t *testing.T, job *slurmlab.Job) time.Time {
	t.Helper()
	ends, err := time.ParseInLocation("2006-01-02T15:04:05", job.Record()["EndTime"], time.Local)
	if err != nil {
		t.Fatal(err)
	}
	return ends
}

// noticePatience is how long a changed time limit may take to be noticed: Slurm is asked twice as often.
const noticePatience = time.Minute

// The time limit of a job that launches is made longer, and then shorter: its nodes say so, and the lease that they have, and
// they take no new leases when the job's end is near.
func TestTimeLimitIsChanged(t *testing.T) {
	lab := slurmlab.Open(t)
	c := lab.NewCluster(t)
	job := submit(t, lab, c, "-N", "2", "--time", "10", "-p", "harvest", "--cores", "1", "--", "--nodelist=n[1-2]")
	c.AwaitNodes(t, "n1", "n2")
	holder := lab.Submit(t, "export SUBLET_DIR="+c.Dir+"\n"+filepath.Join(lab.Bin, "sublet")+" invoke empty --library "+filepath.Join(lab.Bin, "libfunctions.so")+
		" --executors 2 --repeat 10000000 --output quiet", "--nodes=1", "--nodelist=n4", "--exclusive")
	said := func(ends time.Time) string { // what is not so yet
		for _, node := range c.List(t) {
			if !node.Outlook.Ends.Equal(ends) || !node.Outlook.LendsUntil.Equal(ends.Add(-time.Minute)) {
				return fmt.Sprintf("node %s: %+v, and its job ends at %v", node.Name, node.Outlook, ends)
			}
		}
		var leases []api.Lease
		sublet(t, lab, &leases, "lease", "list", "--dir", c.Dir, "--output", "json")
		if len(leases) != 1 || len(leases[0].Nodes()) != 2 || !leases[0].AllocationEnds.Equal(ends) {
			return fmt.Sprintf("the leases are %+v, and the job ends at %v", leases, ends)
		}
		return ""
	}
	wait := func(what string) {
		t.Helper()
		began, missing := time.Now(), ""
		for until := began.Add(noticePatience); ; <-time.After(200 * time.Millisecond) {
			if missing = said(endOf(t, job.Job)); missing == "" {
				t.Logf("%s: noticed after %v", what, time.Since(began).Round(time.Millisecond))
				return
			}
			if time.Now().After(until) {
				t.Fatalf("%s: %s", what, missing)
			}
		}
	}
	wait("a time limit of 10 minutes")
	shown := lab.Run(t, slurmlab.Login, filepath.Join(lab.Bin, "sublet"), "lease", "list", "--dir", c.Dir)
	if !strings.Contains(shown, "ALLOCATION LEFT") || !strings.Contains(shown, " 9m") {
		t.Errorf("sublet lease list prints\n%s", shown)
	}
	lab.Run(t, slurmlab.Login, "scontrol", "update", "jobid="+job.ID, "timelimit=20")
	wait("a time limit of 20 minutes")
	lab.Run(t, slurmlab.Login, "scontrol", "update", "jobid="+job.ID, "timelimit=5")
	wait("a time limit of 5 minutes")
	if said := job.Printed(); strings.Count(said, "the allocation ends at another time") != 2 {
		t.Errorf("sublet launch says\n%s", said)
	}
	holder.Cancel(t)
	job.Cancel(t)
	lab.AwaitClean(t, 20*time.Second)
}

// Two jobs on one node launch at the same moment: one manager has the node's name, and the other one the job's number with it.
func TestTwoLaunchesAtOnce(t *testing.T) {
	lab := slurmlab.Open(t)
	c := lab.NewCluster(t)
	var jobs []*slurmlab.Job
	var gates []gate
	for range 2 {
		gates = append(gates, newGate(t, lab))
		jobs = append(jobs, lab.Submit(t, inJob(c)+"echo begun; read -r < "+string(gates[len(gates)-1])+"\nexec "+filepath.Join(lab.Bin, "sublet")+" launch --cores 1",
			"--nodelist=n1", "--nodes=1", "--ntasks=1", "--cpus-per-task=1", "--mem=512"))
	}
	for _, job := range jobs {
		slurmlab.Eventually(t, "both jobs run", func() bool { return strings.Contains(job.Printed(), "begun") })
	}
	for _, g := range gates {
		g.open(t)
	}
	slurmlab.Eventually(t, "two managers on n1", func() bool {
		nodes := c.Nodes(t)
		return len(nodes) == 2 && nodes[0] == "n1" && (nodes[1] == "n1-"+jobs[0].ID || nodes[1] == "n1-"+jobs[1].ID)
	})
	second := c.Nodes(t)[1]
	for _, job := range jobs {
		name := "n1"
		if second == "n1-"+job.ID {
			name += "-" + job.ID
		}
		slurmlab.Eventually(t, "job "+job.ID+" says that its manager is "+name, func() bool {
			return strings.Contains(job.Printed(), "1 node in") && strings.Contains(job.Printed(), "ms: "+name+"\n")
		})
		job.Cancel(t)
	}
	lab.AwaitClean(t, 20*time.Second)
}
