//go:build slurmlab

package slurmlab_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/sublet-hpc/sublet/internal/endurance"
	"github.com/sublet-hpc/sublet/internal/slurmlab"
)

// What the documentation promises, of a machine that is not busy with other things.
const (
	// promisedStart is from the start of a job until its managers have registered.
	promisedStart = 1500 * time.Millisecond
	// promisedEnd is from SIGTERM until nothing is left on the nodes, where nothing runs that is waited for.
	promisedEnd = 2 * time.Second
)

// watched is something that takes time once.
type watched struct {
	began time.Time
	times *endurance.Times
}

func watch() watched { return watched{began: time.Now(), times: endurance.Watch()} }

// within says how long it took, and holds it to its promise.
func (w watched) within(t *testing.T, what string, promised time.Duration) {
	t.Helper()
	w.times.Add(time.Since(w.began))
	endurance.Report(t, "%s: %v", what, w.times)
	w.times.Within(t, promised)
}

// Jobs of three nodes, one after the other: how long it takes from their start until their managers have registered, and from
// their end until nothing is left.
func TestEnduranceStartAndEnd(t *testing.T) {
	lab := slurmlab.Open(t)
	c := lab.NewCluster(t)
	starts, ends := endurance.Watch(), endurance.Watch()
	for range endurance.Count(2, 8) {
		job := submit(t, lab, c, "-N", "3", "--time", "10", "-p", "harvest", "--", "--nodelist=n[1-3]")
		job.Await(t, "RUNNING") // looked for every 50 ms
		began := time.Now()
		c.AwaitNodes(t, "n1", "n2", "n3")
		starts.Add(time.Since(began))
		told := time.Now()
		lab.Run(t, slurmlab.Login, filepath.Join(lab.Bin, "sublet"), "slurm", "cancel", "--dir", c.Dir, job.ID)
		lab.AwaitClean(t, 20*time.Second)
		ends.Add(time.Since(told))
		c.AwaitNodes(t)
	}
	endurance.Report(t, "job started, managers of 3 nodes registered: %v", starts)
	endurance.Report(t, "job cancelled, 3 nodes clean: %v", ends)
	starts.Within(t, promisedStart)
	ends.Within(t, promisedEnd)
}
