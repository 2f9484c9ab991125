package slurmlab

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// Job is one that a test has submitted.
type Job struct {
	// ID is its number.
	ID string
	// Output is the file with what it prints, on the shared file system.
	Output string
}

// Submit submits a batch job: the lines of a bash script, and options for sbatch. What it has printed is shown if the
// test fails.
func (l *Lab) Submit(t testing.TB, script string, options ...string) *Job {
	t.Helper()
	output := filepath.Join(l.Folder(t), "output")
	command := exec.Command("sbatch", append([]string{"--parsable", "--open-mode=append", "--output=" + output}, options...)...)
	command.Stdin = strings.NewReader("#!/bin/bash\n" + script + "\n")
	j := &Job{ID: run(t, command), Output: output}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("job %s, %s: %s", j.ID, script, j.Printed())
		}
	})
	return j
}

// Printed is what the job has printed so far.
func (j *Job) Printed() string {
	text, err := os.ReadFile(j.Output)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// Record is what scontrol shows of the job, by Slurm's names: JobState, NodeList, Restarts, EndTime, ... Nil: slurmctld
// does not answer, or does not know the job any more.
func (j *Job) Record() map[string]string {
	out, err := exec.Command("scontrol", "--oneliner", "show", "job", j.ID).Output()
	if err != nil {
		return nil
	}
	record := map[string]string{}
	for field := range strings.FieldsSeq(string(out)) {
		if name, value, is := strings.Cut(field, "="); is {
			record[name] = value
		}
	}
	return record
}

// jobPatience is how long a job may take to come into a state. A node that has crashed is noticed after half a minute.
const jobPatience = time.Minute

// Await waits until the job is in one of these states: PENDING, RUNNING, COMPLETING, COMPLETED, CANCELLED, ...
func (j *Job) Await(t testing.TB, states ...string) {
	t.Helper()
	var record map[string]string
	patient(t, jobPatience, func() string {
		return "job " + j.ID + " is to be " + strings.Join(states, " or ") + ", and is " + record["JobState"]
	}, func() bool {
		record = j.Record()
		return slices.Contains(states, record["JobState"])
	})
}

// Cancel has Slurm end the job, and waits until it has.
func (j *Job) Cancel(t testing.TB) {
	t.Helper()
	run(t, exec.Command("scancel", j.ID))
	j.Await(t, "CANCELLED", "COMPLETED", "FAILED", "TIMEOUT", "PREEMPTED", "NODE_FAIL")
}
