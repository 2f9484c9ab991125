//go:build slurmsoak

package slurmlab_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/sublet-hpc/sublet/internal/hosts"
	"github.com/sublet-hpc/sublet/internal/slurmlab"
	"github.com/sublet-hpc/sublet/launcher/harvest"
)

const (
	// soakInterval is how often the harvester asks Slurm.
	soakInterval = 2 * time.Second
	// soakExtra is how much longer a job may wait because of the harvester.
	soakExtra = 5 * time.Second
	// soakUsed is the least part of the idle node time that is to be lent.
	soakUsed = 0.8
	// soakSample is how often is looked who lends.
	soakSample = 250 * time.Millisecond
)

// soakJob is a job of others: it begins at a time after the start, and computes for a time.
type soakJob struct {
	at, work  time.Duration
	nodes     int
	partition string
}

// soakJobs are those of a span of time, the same each time. Half of them may preempt a harvester's jobs.
func soakJobs(span time.Duration) (jobs []soakJob) {
	random := rand.New(rand.NewPCG(7, 7))
	for at := 5 * time.Second; at < span; at += time.Duration(25+random.IntN(41)) * time.Second {
		jobs = append(jobs, soakJob{
			at: at, work: time.Duration(20+random.IntN(101)) * time.Second, nodes: 1 + random.IntN(2),
			partition: []string{"batch", "harvest"}[random.IntN(2)],
		})
	}
	return jobs
}

// soaked is what came of a run.
type soaked struct {
	waits       []time.Duration // of each job
	idle, lent  time.Duration   // node time
	submissions int
	calls       uint64 // of sinfo and squeue
}

// The same random jobs of 20 to 120 s without and with a harvester: they wait as long, and the nodes that they leave idle
// are lent. SUBLET_SOAK is for how long jobs come, each time.
func TestSoak(t *testing.T) {
	span, err := time.ParseDuration(cmp.Or(os.Getenv("SUBLET_SOAK"), "5m"))
	if err != nil {
		t.Fatalf("SUBLET_SOAK: %v", err)
	}
	lab := slurmlab.Open(t)
	without := soak(t, lab, span, false)
	with := soak(t, lab, span, true)
	extra := time.Duration(0)
	for i := range with.waits {
		extra = max(extra, with.waits[i]-without.waits[i])
	}
	used := with.lent.Seconds() / with.idle.Seconds()
	seconds := func(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }
	text := &strings.Builder{}
	table := tabwriter.NewWriter(text, 0, 0, 2, ' ', 0)
	row := func(name string, of func(soaked) string, both bool) {
		left := "-"
		if both {
			left = of(without)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\n", name, left, of(with))
	}
	fmt.Fprintf(table, "%d jobs on %d nodes in %v\twithout\twith a harvester\n", len(with.waits), len(lab.Nodes), span)
	row("mean wait", func(s soaked) string { return seconds(mean(s.waits)) }, true)
	row("95 of 100 wait at most", func(s soaked) string { return seconds(quantile(s.waits, 0.95)) }, true)
	row("longest wait", func(s soaked) string { return seconds(slices.Max(s.waits)) }, true)
	row("most that a job waits longer", func(soaked) string { return seconds(extra) }, false)
	row("idle node time", func(s soaked) string { return seconds(s.idle) }, true)
	row("of it lent", func(soaked) string { return fmt.Sprintf("%.1f %%", 100*used) }, false)
	row("manager jobs submitted", func(s soaked) string { return strconv.Itoa(s.submissions) }, false)
	row("calls of sinfo and squeue", func(s soaked) string { return strconv.FormatUint(s.calls, 10) }, false)
	table.Flush()
	t.Logf("\n%s", text)
	if extra > soakExtra {
		t.Errorf("a job waited %v longer, and may %v", extra, soakExtra)
	}
	if used < soakUsed {
		t.Errorf("%.1f %% of the idle node time were lent, and are to be %.0f %%", 100*used, 100*soakUsed)
	}
	// A node is asked for once after each job that it has had, and at the beginning.
	most := len(lab.Nodes)
	for _, job := range soakJobs(span) {
		most += 2 * job.nodes
	}
	if with.submissions > most {
		t.Errorf("%d manager jobs were submitted, and are to be %d at most", with.submissions, most)
	}
	if looks := uint64(span/soakInterval)*2 + 200; with.calls > looks {
		t.Errorf("sinfo and squeue were called %d times", with.calls)
	}
}

// soak lets the jobs come, and counts the time until the last has ended, or is over.
func soak(t *testing.T, lab *slurmlab.Lab, span time.Duration, harvested bool) (result soaked) {
	c := lab.NewCluster(t)
	if harvested {
		h := hosts.Start(t, lab.Command(slurmlab.Login, filepath.Join(lab.Bin, "sublet"), "slurm", "harvest", "--dir", c.Dir, "--partition", "harvest",
			"--keep-free", "0", "--min-idle", "0", "--interval", soakInterval.String(), "--backlog", "4", "--max-submissions", "2000"))
		c.AwaitNodes(t, lab.Nodes...)
		defer func() {
			h.End(t, syscall.SIGTERM)
			lab.Run(t, slurmlab.Login, filepath.Join(lab.Bin, "sublet"), "slurm", "harvest", "--dir", c.Dir, "--give-back")
			c.AwaitNodes(t)
		}()
	}
	folder := lab.Folder(t)
	jobs := soakJobs(span)
	submitted := make([]time.Time, len(jobs))
	began, last, next := time.Now(), time.Now(), 0
	ticker := time.NewTicker(soakSample)
	defer ticker.Stop()
	for now := range ticker.C {
		for next < len(jobs) && now.Sub(began) >= jobs[next].at {
			submitted[next] = time.Now()
			j := jobs[next]
			lab.Submit(t, fmt.Sprintf("date +%%s.%%N >%s/%d.began; sleep %.0f; date +%%s.%%N >%s/%d.ended", folder, next, j.work.Seconds(), folder, next),
				"--partition="+j.partition, fmt.Sprintf("--nodes=%d", j.nodes), "--exclusive")
			next++
		}
		result.lent += time.Duration(len(c.Nodes(t))) * now.Sub(last)
		last = now
		if now.Sub(began) >= span {
			break
		}
	}
	end := time.Now()
	result.idle = time.Duration(len(lab.Nodes)) * end.Sub(began)
	slurmlab.Eventually(t, "all jobs have begun, or wait for others", func() bool { return allBegun(t, folder, len(jobs)) || time.Since(end) > 25*time.Second })
	for i, job := range jobs {
		from, has := stamp(t, folder, i, "began")
		if !has {
			from = time.Now()
		}
		result.waits = append(result.waits, from.Sub(submitted[i]))
		to, has := stamp(t, folder, i, "ended")
		if !has || to.After(end) {
			to = end
		}
		result.idle -= time.Duration(job.nodes) * max(to.Sub(from), 0)
	}
	if harvested {
		file, err := harvest.Read(c.Dir)
		if err != nil {
			t.Fatal(err)
		}
		result.submissions = int(file.Calls["sbatch"].Calls) // those of the state are of the last hour
		result.calls = file.Calls["sinfo"].Calls + file.Calls["squeue"].Calls
	}
	lab.Run(t, slurmlab.Login, "scancel", "--full", "--partition=batch", "--user=root")
	lab.Run(t, slurmlab.Login, "scancel", "--full", "--name=sbatch", "--user=root")
	return result
}

func allBegun(t *testing.T, folder string, jobs int) bool {
	for i := range jobs {
		if _, has := stamp(t, folder, i, "began"); !has {
			return false
		}
	}
	return true
}

// stamp is a time that a job has written down.
func stamp(t *testing.T, folder string, job int, what string) (time.Time, bool) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(folder, strconv.Itoa(job)+"."+what))
	whole, part, complete := strings.Cut(strings.TrimSpace(string(text)), ".")
	if err != nil || !complete {
		return time.Time{}, false
	}
	seconds, err := strconv.ParseInt(whole, 10, 64)
	nanoseconds, err2 := strconv.ParseInt(part, 10, 64)
	if err != nil || err2 != nil {
		t.Fatalf("job %d wrote %q", job, text)
	}
	return time.Unix(seconds, nanoseconds), true
}

func mean(all []time.Duration) (sum time.Duration) {
	for _, d := range all {
		sum += d
	}
	return sum / time.Duration(len(all))
}

func quantile(all []time.Duration, q float64) time.Duration {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[int(q*float64(len(sorted)-1))]
}
