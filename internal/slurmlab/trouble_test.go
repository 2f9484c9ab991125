//go:build slurmlab

package slurmlab_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sublet-hpc/sublet/internal/buildtest"
	"github.com/sublet-hpc/sublet/internal/hosts"
	"github.com/sublet-hpc/sublet/internal/slurmlab"
	"github.com/sublet-hpc/sublet/launcher/harvest"
)

// shims stand before some of Slurm's commands on PATH. Each does what Slurm's does, until it is told to fail or to hang.
type shims string

// What a command of Slurm's says when it fails.
const (
	refusal     = "Batch job submission failed: Invalid qos specification"
	unreachable = "Unable to contact slurm controller (connect failure)"
)

func newShims(t *testing.T, lab *slurmlab.Lab, said map[string]string) shims {
	t.Helper()
	s := shims(lab.Folder(t))
	for command, words := range said {
		theirs, err := exec.LookPath(command)
		if err != nil {
			t.Fatal(err)
		}
		script := fmt.Sprintf("how=\nread -r how 2>/dev/null <%s\ncase $how in\nfail) echo '%s: error: %s' >&2; exit 1 ;;\nhang) exec sleep 1000 ;;\nesac\nexec %s \"$@\"\n",
			s.how(command), command, words, theirs)
		buildtest.Script(t, filepath.Join(string(s), command), script)
		s.has(t, command, "work")
	}
	return s
}

func (s shims) how(command string) string { return filepath.Join(string(s), command+".how") }

// has a command fail, hang, or work.
func (s shims) has(t *testing.T, command, how string) {
	t.Helper()
	next := s.how(command) + ".next"
	if err := os.WriteFile(next, []byte(how+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, s.how(command)); err != nil { // at once
		t.Fatal(err)
	}
}

// sbatch refuses, then sinfo fails, then squeue hangs, and with a node lent sinfo hangs: each time the harvester goes on, counts it,
// and says what is wrong; what it lends stays lent; and when the commands work again it does what it is for, without anybody's help.
func TestHarvestWhileCommandsFail(t *testing.T) {
	lab := slurmlab.Open(t)
	c := lab.NewCluster(t)
	s := newShims(t, lab, map[string]string{"sbatch": refusal, "sinfo": unreachable, "squeue": unreachable})
	s.has(t, "sbatch", "fail")
	harvester := harvestCommand(lab, c, "--max-nodes", "1")
	harvester.Env = append(os.Environ(), "PATH="+string(s)+":"+os.Getenv("PATH"))
	hosts.Start(t, harvester)
	var seen harvest.Summary
	until := func(what string, is func() bool) {
		t.Helper()
		slurmlab.Eventually(t, what, func() bool { seen = summary(t, lab, c); return seen.Running && is() })
	}
	status := func() string {
		return lab.Run(t, slurmlab.Login, filepath.Join(lab.Bin, "sublet"), "status", "--dir", c.Dir)
	}
	explained := func() string {
		command := lab.Command(slurmlab.Login, filepath.Join(lab.Bin, "sublet"), "slurm", "harvest", "--dir", c.Dir, "--explain")
		out, err := command.CombinedOutput()
		if err != nil {
			t.Errorf("--explain: %v\n%s", err, out)
		}
		return string(out)
	}

	until("a refusal of sbatch is counted, and said", func() bool {
		return seen.Calls["sbatch"].Refusals == 1 && seen.Failures == 1 && strings.Contains(seen.Limit, refusal)
	})
	if text := status(); !strings.Contains(text, "sbatch 1 (1 failed)") || !strings.Contains(text, refusal) {
		t.Errorf("after a refusal sublet status says\n%s", text)
	}
	if text := explained(); !strings.Contains(text, "failed once in a row") || !strings.Contains(text, refusal) {
		t.Errorf("after a refusal --explain says\n%s", text)
	}
	if jobs := queued(t, lab); len(jobs) > 0 || seen.Pending+seen.Nodes > 0 {
		t.Errorf("sbatch has refused, and there are the jobs %v, %+v", jobs, seen)
	}
	s.has(t, "sbatch", "work")

	s.has(t, "sinfo", "fail")
	until("that sinfo fails is counted, and said", func() bool { return seen.Calls["sinfo"].Failures >= 2 && strings.Contains(seen.Error, unreachable) })
	if text := explained(); !strings.Contains(text, "the harvester's last look") || !strings.Contains(text, unreachable) {
		t.Errorf("while sinfo fails --explain says\n%s", text)
	}
	s.has(t, "sinfo", "work")

	s.has(t, "squeue", "hang")
	until("that squeue hangs is counted, and said", func() bool {
		return seen.Calls["squeue"].Timeouts == 1 && strings.Contains(seen.Error, "squeue did not end")
	})
	if text := status(); !strings.Contains(text, "last look: squeue") || !strings.Contains(text, "(1 failed)") {
		t.Errorf("while squeue hangs sublet status says\n%s", text)
	}
	s.has(t, "squeue", "work")

	until("a node is harvested", func() bool { return seen.Error == "" && seen.Nodes == 1 })
	slurmlab.Eventually(t, "it lends", func() bool { return len(c.Nodes(t)) == 1 })
	jobs := queued(t, lab)
	if len(jobs) != 1 || seen.Calls["sbatch"].Calls != 2 {
		t.Errorf("one node is to be harvested by the second call of sbatch, and there are %v and %+v", jobs, seen.Calls["sbatch"])
	}
	s.has(t, "sinfo", "hang")
	until("that sinfo hangs is counted, and said", func() bool {
		return seen.Calls["sinfo"].Timeouts == 1 && strings.Contains(seen.Error, "sinfo did not end")
	})
	if nodes := c.Nodes(t); len(nodes) != 1 || !slices.Equal(queued(t, lab), jobs) {
		t.Errorf("while sinfo hangs %v lend, in the jobs %v; before it were %v", nodes, queued(t, lab), jobs)
	}
	s.has(t, "sinfo", "work")
	until("all is well, and the failure forgotten", func() bool {
		return seen.Error == "" && seen.Nodes == 1 && seen.Failures == 0 && time.Since(seen.Looked) < 3*time.Second
	})
}
