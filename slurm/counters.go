package slurm

import "time"

// Counters are how often each command was called, by its name: sinfo, squeue, sbatch, scancel.
type Counters map[string]Counter

// Counter is how often one command was called, and how it ended.
type Counter struct {
	Calls    uint64 // that started it, or tried to
	Failures uint64 // of these: all that did not succeed, timeouts and refusals included
	Timeouts uint64 // of these: killed after the deadline
	Refusals uint64 // of these: Slurm has answered, and does not do it
	Skipped  uint64 // calls that did not start it, because it had failed a short time ago
	Time     time.Duration
}
