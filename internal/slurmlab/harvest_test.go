//go:build slurmlab

package slurmlab_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sublet-hpc/sublet/internal/buildtest"
	"github.com/sublet-hpc/sublet/internal/hosts"
	"github.com/sublet-hpc/sublet/internal/slurmlab"
	"github.com/sublet-hpc/sublet/launcher/harvest"
)

// harvestCommand harvests for a cluster, once in a second and without a delay, with these flags besides.
func harvestCommand(lab *slurmlab.Lab, c *slurmlab.Cluster, flags ...string) *exec.Cmd {
	words := []string{"slurm", "harvest", "--dir", c.Dir, "--partition", "harvest", "--keep-free", "0", "--min-idle", "0", "--interval", "1s", "--backlog", "4"}
	return lab.Command(slurmlab.Login, filepath.Join(lab.Bin, "sublet"), append(words, flags...)...)
}

// queued are the jobs of harvesters in the queue, oldest first.
func queued(t *testing.T, lab *slurmlab.Lab) []string {
	t.Helper()
	jobs := []string{}
	for line := range strings.Lines(lab.Run(t, slurmlab.Login, "squeue", "--noheader", "--sort=i", "--format=%i %j")) {
		if id, name, _ := strings.Cut(strings.TrimSpace(line), " "); strings.HasPrefix(name, "sublet-harvest-") {
			jobs = append(jobs, id)
		}
	}
	return jobs
}

func summary(t *testing.T, lab *slurmlab.Lab, c *slurmlab.Cluster) harvest.Summary {
	t.Helper()
	var status struct{ Harvest harvest.Summary }
	text := lab.Run(t, slurmlab.Login, filepath.Join(lab.Bin, "sublet"), "status", "--dir", c.Dir, "--output", "json")
	if err := json.Unmarshal([]byte(text), &status); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return status.Harvest
}

// Idle nodes are used, and given back to whoever wants them, with and without preemption; a drained one at once. A
// harvester that is killed is followed by one that finds everything as it was.
func TestHarvestGivesBack(t *testing.T) {
	lab := slurmlab.Open(t)
	c := lab.NewCluster(t)
	first := hosts.Start(t, harvestCommand(lab, c))
	c.AwaitNodes(t, lab.Nodes...)
	jobs := queued(t, lab)
	if out, err := harvestCommand(lab, c).CombinedOutput(); err == nil || !strings.Contains(string(out), "runs already") {
		t.Errorf("a second harvester: %v, %s", err, out)
	}
	first.End(t, syscall.SIGKILL)
	hosts.Start(t, harvestCommand(lab, c))
	slurmlab.Eventually(t, "the second harvester has looked", func() bool {
		s := summary(t, lab, c)
		return s.Running && s.Nodes == len(lab.Nodes) && s.Error == "" && time.Since(s.Looked) < 2*time.Second && s.NodeHours > 0
	})
	if after := queued(t, lab); !slices.Equal(after, jobs) {
		t.Errorf("the jobs were %v, and are %v after the harvester was killed", jobs, after)
	}

	began := time.Now()
	preempting := lab.Submit(t, "sleep 3", "--partition=batch", "--nodes=2", "--exclusive")
	preempting.Await(t, "RUNNING", "COMPLETED")
	t.Logf("a job of two nodes that preempts has started after %v", time.Since(began).Round(10*time.Millisecond))
	preempting.Await(t, "COMPLETED")
	c.AwaitNodes(t, lab.Nodes...)

	began = time.Now()
	waiting := lab.Submit(t, "sleep 3", "--partition=harvest", "--nodes=1", "--exclusive")
	waiting.Await(t, "RUNNING", "COMPLETED")
	t.Logf("a job of one node that can not preempt has started after %v", time.Since(began).Round(10*time.Millisecond))
	waiting.Await(t, "COMPLETED")
	c.AwaitNodes(t, lab.Nodes...)

	lab.Run(t, slurmlab.Login, "scontrol", "update", "nodename=n2", "state=drain", "reason=kernel")
	t.Cleanup(func() { lab.Run(t, slurmlab.Login, "scontrol", "update", "nodename=n2", "state=resume") })
	c.AwaitNodes(t, "n1", "n3", "n4")
	explained := ""
	slurmlab.Eventually(t, "n2 is explained", func() bool {
		explained = lab.Run(t, slurmlab.Login, filepath.Join(lab.Bin, "sublet"), "slurm", "harvest", "--dir", c.Dir, "--explain")
		return strings.Contains(explained, "it is drained (kernel)")
	})
	for _, node := range []string{"n1", "n3", "n4"} {
		if !strings.Contains(explained, node) || strings.Count(explained, string(harvest.Harvested)) != 3 {
			t.Errorf("explained:\n%s", explained)
		}
	}
}

// All nodes are given back by one command, and then nothing is left on them.
func TestHarvestEnds(t *testing.T) {
	lab := slurmlab.Open(t)
	c := lab.NewCluster(t)
	h := hosts.Start(t, harvestCommand(lab, c, "--max-nodes", "2"))
	slurmlab.Eventually(t, "two nodes lend", func() bool { return len(c.Nodes(t)) == 2 })
	h.End(t, syscall.SIGTERM)
	if jobs := queued(t, lab); len(jobs) != 2 {
		t.Errorf("when the harvester has ended there are the jobs %v", jobs)
	}
	ended := lab.Run(t, slurmlab.Login, filepath.Join(lab.Bin, "sublet"), "slurm", "harvest", "--dir", c.Dir, "--give-back")
	if strings.Count(ended, "cancelled") != 2 {
		t.Errorf("given back: %s", ended)
	}
	lab.AwaitClean(t, 20*time.Second)
	c.AwaitNodes(t)
}

// The run directory's file system is full, and the harvester was killed: its nodes are given back all the same.
func TestHarvestGivesBackOnAFullDisk(t *testing.T) {
	lab := slurmlab.Open(t)
	c := lab.NewCluster(t)
	// Nodes do not see the small file system, which lies over the run directory for the harvester alone: their jobs write beneath it.
	if err := os.Mkdir(filepath.Join(c.Dir, "harvest"), 0o700); err != nil {
		t.Fatal(err)
	}
	script := `set -e
cp "$DIR/access.json" "$DIR/../access.kept"
mount -t tmpfs -o size=128k,mode=700 small "$DIR"
mv "$DIR/../access.kept" "$DIR/access.json"
"$SUBLET" slurm harvest --partition harvest --keep-free 0 --min-idle 0 --interval 1s --backlog 4 --dir "$DIR" & harvester=$!
until squeue --noheader --states=RUNNING --format=%j | grep -q sublet-harvest; do sleep 0.1; done
kill -KILL $harvester
wait $harvester || true
dd if=/dev/zero of="$DIR/fill" bs=4k 2>/dev/null || true
if "$SUBLET" slurm harvest --partition harvest --dir "$DIR"; then echo "a harvester has started"; fi
"$SUBLET" slurm harvest --give-back --dir "$DIR" || echo "status $?"
`
	command := lab.Command(slurmlab.Login, "unshare", "--mount", "sh", "-c", script)
	command.Env = append(os.Environ(), "DIR="+c.Dir, "SUBLET="+filepath.Join(lab.Bin, "sublet"))
	out, err := command.CombinedOutput()
	if err != nil || !strings.Contains(string(out), " cancelled") || strings.Contains(string(out), "a harvester has started") || !strings.Contains(string(out), "no space left on device") {
		t.Errorf("it ended so: %v\n%s", err, out)
	}
	slurmlab.Eventually(t, "the queue is empty", func() bool { return len(queued(t, lab)) == 0 })
	lab.AwaitClean(t, 20*time.Second)
}

// Under --on-demand there is a node as long as a lease needs one.
func TestHarvestOnDemand(t *testing.T) {
	lab := slurmlab.Open(t)
	c := lab.NewCluster(t)
	hosts.Start(t, harvestCommand(lab, c, "--on-demand", "--idle-timeout", "2s"))
	slurmlab.Eventually(t, "the harvester has looked", func() bool { return !summary(t, lab, c).Looked.IsZero() })
	if jobs := queued(t, lab); len(jobs) > 0 {
		t.Errorf("nobody waits, and there are the jobs %v", jobs)
	}
	invoke := lab.Command(slurmlab.Login, filepath.Join(lab.Bin, "sublet"), "invoke", "empty", "--library", filepath.Join(lab.Bin, "libfunctions.so"), "--wait", "60s")
	invoke.Env = append(os.Environ(), "SUBLET_DIR="+c.Dir)
	if out, err := invoke.CombinedOutput(); err != nil {
		t.Errorf("a call that waits for a node: %v\n%s", err, out)
	}
	c.AwaitNodes(t)
	slurmlab.Eventually(t, "no job is left", func() bool { return len(queued(t, lab)) == 0 })
	if nodes := c.List(t); len(nodes) != 0 {
		t.Errorf("nodes are left: %+v", nodes)
	}
}

// sbatch submits, and hangs: the job is found by its name, and there is one for each node. slurmctld is away for 30 s:
// nothing is lost.
func TestHarvestWithSlurmInTrouble(t *testing.T) {
	lab := slurmlab.Open(t)
	c := lab.NewCluster(t)
	theirs, err := exec.LookPath("sbatch")
	if err != nil {
		t.Fatal(err)
	}
	shims := lab.Folder(t)
	script := fmt.Sprintf("echo >>%s/calls\n%s \"$@\" >/dev/null\nexec sleep 1000\n", shims, theirs)
	buildtest.Script(t, filepath.Join(shims, "sbatch"), script)
	harvester := harvestCommand(lab, c, "--max-nodes", "2")
	harvester.Env = append(os.Environ(), "PATH="+shims+":"+os.Getenv("PATH"))
	h := hosts.Start(t, harvester)
	slurmlab.Eventually(t, "a node lends", func() bool { return len(c.Nodes(t)) == 1 })
	slurmlab.Eventually(t, "the job is found by its name", func() bool { s := summary(t, lab, c); return s.Nodes == 1 && s.Pending == 0 })
	h.End(t, syscall.SIGKILL)
	calls, err := os.ReadFile(filepath.Join(shims, "calls"))
	if jobs := queued(t, lab); err != nil || len(calls) != 1 || len(jobs) != 1 {
		t.Errorf("%d calls of sbatch, %v, and the jobs %v", len(calls), err, jobs)
	}

	hosts.Start(t, harvestCommand(lab, c, "--max-nodes", "1"))
	slurmlab.Eventually(t, "another harvester looks", func() bool { return summary(t, lab, c).Running })
	jobs := queued(t, lab)
	lab.StopController(t)
	stopped := time.Now()
	slurmlab.Eventually(t, "the harvester says what is wrong", func() bool { return summary(t, lab, c).Error != "" })
	<-time.After(time.Until(stopped.Add(30 * time.Second))) // that long, whatever anybody says
	lab.StartController(t)
	slurmlab.Eventually(t, "Slurm is asked again", func() bool { s := summary(t, lab, c); return s.Error == "" && s.Nodes == 1 })
	if after := queued(t, lab); !slices.Equal(after, jobs) {
		t.Errorf("the jobs were %v, and are %v after slurmctld was away", jobs, after)
	}
}
