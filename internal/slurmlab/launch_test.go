//go:build slurmlab

package slurmlab_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sublet-hpc/sublet/internal/slurmlab"
)

// submitted is a job of sublet slurm submit.
type submitted struct {
	*slurmlab.Job
	folder string
}

func submit(t *testing.T, lab *slurmlab.Lab, c *slurmlab.Cluster, flags ...string) submitted {
	t.Helper()
	var said struct {
		Job    int    `json:"job"`
		Folder string `json:"folder"`
	}
	sublet(t, lab, &said, append([]string{"slurm", "submit", "--dir", c.Dir, "--output", "json"}, flags...)...)
	s := submitted{Job: &slurmlab.Job{ID: strconv.Itoa(said.Job), Output: filepath.Join(said.Folder, "stderr")}, folder: said.Folder}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("job %s: %s", s.ID, s.Printed())
		}
	})
	return s
}

// sublet runs a command on the login node that must succeed, and reads the JSON that it prints.
func sublet(t *testing.T, lab *slurmlab.Lab, value any, arguments ...string) {
	t.Helper()
	out := lab.Run(t, slurmlab.Login, filepath.Join(lab.Bin, "sublet"), arguments...)
	if err := json.Unmarshal([]byte(out), value); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// inJob is what a script begins with that runs sublet launch by itself.
func inJob(c *slurmlab.Cluster) string { return "export SUBLET_DIR=" + c.Dir + "\n" }

// A job that sublet slurm submit has submitted lends its three nodes to an MPI program on the fourth. It is listed with
// who has registered; when it has been cancelled nothing is left on any node, and its files stay.
func TestSubmittedJob(t *testing.T) {
	lab := slurmlab.Open(t)
	c := lab.NewCluster(t)
	job := submit(t, lab, c, "-N", "3", "--time", "10", "-p", "harvest", "--cores", "1", "--", "--nodelist=n[1-3]")
	c.AwaitNodes(t, "n1", "n2", "n3")

	r := solve(t, lab, c, "mpirun -n 1", "--executors 3", "--nodes=1", "--nodelist=n4")
	if nodes := nodesOf(r); !slices.Equal(nodes, []string{"n1", "n2", "n3"}) || r.Lost != 0 {
		t.Errorf("the executors were on %v; %d were lost", nodes, r.Lost)
	}

	var list []struct {
		Job        int
		State      string
		Nodes      []string
		Registered []string
	}
	sublet(t, lab, &list, "slurm", "list", "--dir", c.Dir, "--output", "json")
	if len(list) != 1 || strconv.Itoa(list[0].Job) != job.ID || list[0].State != "RUNNING" || !slices.Equal(list[0].Nodes, list[0].Registered) {
		t.Errorf("listed are %+v, not job %s alone with all its nodes", list, job.ID)
	}

	lab.Run(t, slurmlab.Login, filepath.Join(lab.Bin, "sublet"), "slurm", "cancel", "--dir", c.Dir, "--all")
	lab.AwaitClean(t, 20*time.Second)
	c.AwaitNodes(t)
	for _, file := range []string{"script", "stdout", "stderr", "n1.log", "n2.log", "n3.log"} {
		if info, err := os.Stat(filepath.Join(job.folder, file)); err != nil || info.Size() == 0 {
			t.Errorf("%s of the job: %v, %v", file, info, err)
		}
	}
}

// A node of a submitted job dies, and not its first: when Slurm notices, the others go on lending.
func TestSubmittedJobLosesANode(t *testing.T) {
	lab := slurmlab.Open(t)
	c := lab.NewCluster(t)
	job := submit(t, lab, c, "-N", "3", "--time", "10", "-p", "harvest", "--", "--nodelist=n[1-3]")
	c.AwaitNodes(t, "n1", "n2", "n3")
	lab.Crash(t, "n3")
	slurmlab.Eventually(t, "Slurm has taken the node from the job, and it goes on", func() bool {
		return lab.Run(t, slurmlab.Login, "squeue", "--noheader", "--jobs="+job.ID, "--format=%T %N") == "RUNNING n[1-2]"
	})
	slurmlab.Eventually(t, "the launch says so", func() bool { return strings.Contains(job.Printed(), "Slurm says that it has failed") })
	c.AwaitNodes(t, "n1", "n2")
	job.Cancel(t)
	lab.AwaitClean(t, 20*time.Second, "n1", "n2")
}

// Whoever launches is killed: the managers end all the same, and so does the step.
func TestLauncherKilled(t *testing.T) {
	lab := slurmlab.Open(t)
	c := lab.NewCluster(t)
	kill := newGate(t, lab)
	job := lab.Submit(t, inJob(c)+filepath.Join(lab.Bin, "sublet")+" launch &\npid=$!\nread -r < "+string(kill)+"\nkill -KILL $pid\nsleep 600",
		"--nodelist=n[1-2]", "--nodes=2", "--exclusive", "--mem=0")
	c.AwaitNodes(t, "n1", "n2")
	killed := watch()
	kill.open(t)
	c.AwaitNodes(t)
	killed.within(t, "launcher killed, managers gone", promisedEnd)
	slurmlab.Eventually(t, "only the script is left", func() bool {
		return len(lab.Left(t, "n2")) == 0 && !strings.Contains(strings.Join(lab.Left(t, "n1"), "\n"), "executor-manager")
	})
	job.Cancel(t)
	lab.AwaitClean(t, 20*time.Second)
}

// gate is a named pipe at which a job's script waits for a word of the test: read -r < GATE.
type gate string

func newGate(t *testing.T, lab *slurmlab.Lab) gate {
	t.Helper()
	path := filepath.Join(lab.Folder(t), "gate")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	return gate(path)
}

// open gives the word, when the script is there.
func (g gate) open(t *testing.T) {
	t.Helper()
	if err := os.WriteFile(string(g), []byte("go\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

// slurmctld is away: a launch ends as it always does, because that asks nothing of it.
func TestLaunchEndsWithoutController(t *testing.T) {
	lab := slurmlab.Open(t)
	c := lab.NewCluster(t)
	end := newGate(t, lab)
	job := lab.Submit(t, inJob(c)+filepath.Join(lab.Bin, "sublet")+" launch &\npid=$!\nread -r < "+string(end)+"\nkill $pid; wait $pid; echo status $?\nsleep 600",
		"--nodelist=n[1-2]", "--nodes=2", "--exclusive", "--mem=0")
	c.AwaitNodes(t, "n1", "n2")
	slurmlab.Eventually(t, "the launch is complete", func() bool { return strings.Contains(job.Printed(), "2 nodes in") })
	lab.StopController(t)
	told := watch()
	end.open(t)
	c.AwaitNodes(t)
	told.within(t, "told to end without slurmctld, managers gone", promisedEnd)
	slurmlab.Eventually(t, "the launch has ended well", func() bool { return strings.Contains(job.Printed(), "status 0") })
	t.Logf("sublet launch itself: %v", time.Since(told.began).Round(time.Millisecond))
	lab.StartController(t)
	job.Cancel(t)
	lab.AwaitClean(t, 20*time.Second)
}

// A node on which the manager can not be started is named, with what was written there; the other one lends.
func TestManagerThatFails(t *testing.T) {
	lab := slurmlab.Open(t)
	c := lab.NewCluster(t)
	// /tmp is each node's own: only n1 has the program.
	job := lab.Submit(t, inJob(c)+"mkdir /tmp/bin && cp "+lab.Bin+"/sublet "+lab.Bin+"/sublet-executor /tmp/bin && trap 'rm -r /tmp/bin' EXIT\n/tmp/bin/sublet launch &\nwait; wait",
		"--nodelist=n[1-2]", "--nodes=2", "--exclusive", "--mem=0")
	c.AwaitNodes(t, "n1")
	slurmlab.Eventually(t, "n2 is named", func() bool {
		said := job.Printed()
		return strings.Contains(said, "node n2: its executor manager has ended") && strings.Contains(said, "No such file or directory") &&
			strings.Contains(said, "1 node in") && strings.Contains(said, ": n1, and 1 not")
	})
	lab.Run(t, slurmlab.Login, "scancel", "--full", "--signal=TERM", job.ID)
	job.Await(t, "COMPLETED", "FAILED", "CANCELLED")
	c.AwaitNodes(t)
	lab.AwaitClean(t, 20*time.Second)
}

// A step has all CPUs of the job: without --overlap the error says so, with it they are shared. At the end nothing is left, and the
// other step goes on.
func TestOverlap(t *testing.T) {
	lab := slurmlab.Open(t)
	c := lab.NewCluster(t)
	launch := filepath.Join(lab.Bin, "sublet") + " launch "
	next := newGate(t, lab)
	job := lab.Submit(t, inJob(c)+"srun --mem=0 --cpus-per-task=$SLURM_CPUS_ON_NODE sh -c 'echo begun; exec sleep 600' &\n"+
		"read -r < "+string(next)+"\n"+launch+"--wait-timeout 2s; echo status $?\n"+launch+"--overlap --cores 1 & pid=$!\nread -r < "+string(next)+"\nkill $pid; wait $pid; echo status $?; sleep 600",
		"--nodelist=n1", "--nodes=1", "--exclusive", "--mem=0")
	says := func(what string) {
		t.Helper()
		slurmlab.Eventually(t, "the job says "+what, func() bool { return strings.Contains(job.Printed(), what) })
	}
	says("begun")
	next.open(t)
	says("--overlap shares them")
	says("status 1")
	c.AwaitNodes(t, "n1")
	if nodes := c.List(t); len(nodes[0].Cores) != 1 {
		t.Errorf("with --cores 1 the node lends %v", nodes[0].Cores)
	}
	next.open(t)
	says("status 0")
	c.AwaitNodes(t)
	if left := strings.Join(lab.Left(t, "n1"), "\n"); strings.Contains(left, "sublet launch") || strings.Contains(left, "executor") || !strings.Contains(left, "sleep 600") {
		t.Errorf("on n1 there is\n%s", left)
	}
	job.Cancel(t)
	lab.AwaitClean(t, 20*time.Second)
}

// A job that starts its own resource manager serves a program in another job, and ends it last.
func TestLaunchWithResourceManager(t *testing.T) {
	lab := slurmlab.Open(t)
	dir := lab.Folder(t)
	job := lab.Submit(t, "exec "+filepath.Join(lab.Bin, "sublet")+" launch --with-resource-manager --dir "+dir,
		"--nodelist=n[1-2]", "--nodes=2", "--exclusive", "--mem=0")
	slurmlab.Eventually(t, "both nodes are registered", func() bool { return strings.Contains(job.Printed(), "2 nodes in") })
	if said := lab.Run(t, slurmlab.Login, filepath.Join(lab.Bin, "sublet"), "node", "list", "--dir", dir, "--output", "quiet"); said != "n1\nn2" {
		t.Errorf("registered are %q", said)
	}
	job.Cancel(t)
	lab.AwaitClean(t, 20*time.Second)
	if _, err := os.Stat(filepath.Join(dir, "access.json")); !os.IsNotExist(err) {
		t.Errorf("the resource manager has left its access.json: %v", err)
	}
}
