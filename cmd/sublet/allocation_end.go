package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"time"

	"github.com/spf13/pflag"

	"github.com/sublet-hpc/sublet/cmd/sublet-invoke/options"
	"github.com/sublet-hpc/sublet/executors/manager"
	"github.com/sublet-hpc/sublet/slurm"
)

const (
	// defaultDrainBefore is enough for most functions, and little of most allocations.
	defaultDrainBefore = time.Minute
	// defaultGrace is a little less than the 30 s that Slurm gives a job between SIGTERM and SIGKILL (KillWait) if nobody
	// has changed that.
	defaultGrace = 25 * time.Second
)

// retirementFlags say when an executor manager is to end, and how.
type retirementFlags struct {
	ends               string
	drainBefore, grace options.Duration
}

func (f *retirementFlags) declare(flags *pflag.FlagSet) {
	f.drainBefore, f.grace = options.Duration(defaultDrainBefore), options.Duration(defaultGrace)
	flags.StringVar(&f.ends, "ends", "", "`WHEN` the allocation ends: 2026-01-31T18:00:00Z, or seconds since 1970; never (default: what Slurm says, in a job)")
	flags.Var(&f.drainBefore, "drain-before", "`TIME` before that from which on it takes no new leases")
	flags.Var(&f.grace, "grace", "`TIME` that running functions have when it is told to end")
}

// read makes of the flags, and of the job's environment, when the manager retires.
func (f *retirementFlags) read(log *slog.Logger) (manager.Retirement, error) {
	r := manager.Retirement{DrainBefore: time.Duration(f.drainBefore), Grace: time.Duration(f.grace)}
	if f.ends == "never" {
		return r, nil
	}
	if f.ends != "" {
		ends, err := parseMoment(f.ends)
		if err != nil {
			return r, usagef("executor-manager: --ends %s: %v", f.ends, err)
		}
		r.Ends = ends
		return r, nil
	}
	allocation, is, err := slurm.AllocationFromEnvironment(os.Getenv)
	switch {
	case err != nil:
		return r, fmt.Errorf("executor-manager: %w", err)
	case !is:
		return r, nil
	}
	r.Ends = allocation.Ends
	r.LookUpEnds = func(ctx context.Context) (time.Time, error) { return jobsEnd(ctx, allocation.Job, log) } // Slurm before 23.02 does not say it
	return r, nil
}

// parseMoment reads a time as RFC 3339 has it, or as seconds since 1970.
func parseMoment(text string) (time.Time, error) {
	if seconds, err := strconv.ParseInt(text, 10, 64); err == nil && seconds > 0 {
		return time.Unix(seconds, 0), nil
	}
	moment, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return moment, errors.New("a time is written as 2026-01-31T18:00:00Z, or in seconds since 1970; never is never")
	}
	return moment, nil
}

// jobsEnd asks Slurm when a job ends; the zero time: it does not.
func jobsEnd(ctx context.Context, id slurm.JobID, log *slog.Logger) (time.Time, error) {
	ends, err := slurm.New(slurm.Options{Log: log}).Ends(ctx, id)
	if errors.Is(err, slurm.ErrNoSlurm) {
		log.Warn("when this job ends is not known: there is no squeue to ask (--ends says it)", "job", id)
		return time.Time{}, nil
	}
	return ends, err
}
