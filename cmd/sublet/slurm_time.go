package main

import (
	"time"

	"github.com/sublet-hpc/sublet/slurm"
)

// slurmTime is a time on a command line, as Slurm writes it or as Go does: 30 (minutes), 1:30:00, 1-12, 30s, 1h.
type slurmTime time.Duration

// String implements pflag.Value.
func (t *slurmTime) String() string {
	if time.Duration(*t) == slurm.Unlimited {
		return "UNLIMITED"
	}
	return time.Duration(*t).String()
}

// Type implements pflag.Value.
func (t *slurmTime) Type() string { return "TIME" }

// Set implements pflag.Value.
func (t *slurmTime) Set(text string) error {
	d, err := slurm.ParseTime(text)
	*t = slurmTime(d)
	return err
}
