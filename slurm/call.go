package slurm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// call runs a command, unless it failed a short time ago, and has what it wrote read.
func (c *Client) call(ctx context.Context, command, input string, read func(out []byte) error, args ...string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	began := c.now()
	if err := c.leftAlone(command, began); err != nil {
		return err
	}
	out, failure := c.start(ctx, command, input, args)
	if failure != nil && ctx.Err() != nil { // the caller has given up, which says nothing about Slurm
		return fmt.Errorf("%s: %w", command, context.Cause(ctx))
	}
	if failure == nil && read != nil {
		failure = judgeOutput(command, read(out))
	}
	c.note(command, c.now(), began, failure)
	if failure != nil {
		return failure
	}
	return nil
}

// start runs a command with a deadline, and says what its failure means.
func (c *Client) start(ctx context.Context, command, input string, args []string) ([]byte, *Error) {
	path, failure := c.find(command)
	if failure != nil {
		return nil, failure
	}
	ctx, cancel := context.WithTimeout(ctx, c.options.Deadline)
	defer cancel()
	out, said, err := execute(ctx, path, args, scrub(os.Environ()), input, c.options.MaxOutput)
	switch {
	case err == nil:
		return out, nil
	case errors.Is(err, errTooMuch):
		return nil, &Error{Command: command, Reason: ErrOutput, Detail: fmt.Sprintf("more than %d MiB", c.options.MaxOutput>>20)}
	case ctx.Err() != nil:
		return nil, &Error{Command: command, Reason: ErrTimeout, Detail: said, After: c.options.Deadline}
	}
	return out, judge(command, said, err)
}

// find says where a command is.
func (c *Client) find(command string) (string, *Error) {
	path := command
	for name, given := range map[string]string{
		"sinfo": c.options.Sinfo, "squeue": c.options.Squeue, "sbatch": c.options.Sbatch,
		"scancel": c.options.Scancel, "srun": c.options.Srun,
	} {
		if name == command && given != "" {
			path = given
		}
	}
	found, err := exec.LookPath(path)
	if err != nil {
		return "", &Error{Command: command, Reason: ErrNoSlurm, Detail: err.Error()}
	}
	return found, nil
}

// unreachable is what Slurm's commands say when it is not the controller that refuses.
var unreachable = []string{
	"Unable to contact slurm controller",
	"Socket timed out",
	"Connection refused",
	"Connection timed out",
	"Zero Bytes were transmitted",
	"Communication connection failure",
	"Communication shutdown failure",
	"Message receive failure",
	"Message send failure",
	"Protocol authentication error",
	"in standby mode",
	"Could not establish a configuration source",
}

// judge says what it means that a command has ended without success.
func judge(command, said string, err error) *Error {
	var exit *exec.ExitError
	switch {
	case containsAny(said, unreachable):
		return &Error{Command: command, Reason: ErrUnreachable, Detail: said}
	case said != "" && errors.As(err, &exit) && exit.Exited():
		return &Error{Command: command, Reason: ErrRefused, Detail: said}
	}
	detail := ended(err)
	if said != "" {
		detail += ": " + said
	}
	return &Error{Command: command, Reason: ErrFailed, Detail: detail}
}

func containsAny(text string, some []string) bool {
	for _, one := range some {
		if strings.Contains(text, one) {
			return true
		}
	}
	return false
}

// judgeOutput says what it means that the output of a command could not be read.
func judgeOutput(command string, err error) *Error {
	var faults *faultsError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &faults):
		return &Error{Command: command, Reason: ErrUnreachable, Detail: err.Error()}
	}
	return &Error{Command: command, Reason: ErrOutput, Detail: err.Error()}
}

// scrub takes out of an environment what changes what the commands do or write: their own variables, and those of a job
// that this process is in, which would go on into jobs that it submits.
func scrub(environment []string) []string {
	inJob := slices.ContainsFunc(environment, func(variable string) bool { return strings.HasPrefix(variable, "SLURM_JOB_ID=") })
	kept := make([]string, 0, len(environment)+1)
	for _, variable := range environment {
		name, _, _ := strings.Cut(variable, "=")
		own := strings.HasPrefix(name, "SINFO_") || strings.HasPrefix(name, "SQUEUE_") || strings.HasPrefix(name, "SCANCEL_")
		if !own && !(inJob && ofJob(name)) {
			kept = append(kept, variable)
		}
	}
	return append(kept, "SLURM_JSON=compact") // read from Slurm 23.11 on; what is written is a third of it
}

// ofJob says whether a variable is one that Slurm sets in jobs.
func ofJob(name string) bool {
	if strings.HasPrefix(name, "SLURMD_") {
		return true
	}
	rest, ours := strings.CutPrefix(name, "SLURM_")
	for _, setting := range []string{"CONF", "CLUSTERS", "DEBUG", "EXIT", "JWT", "SACK", "CA"} {
		if strings.HasPrefix(rest, setting) {
			return false
		}
	}
	return ours
}

// leftAlone is the error of a command that is not to be started yet.
func (c *Client) leftAlone(command string, now time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := c.backoffs[command]
	if b == nil || !now.Before(b.until) {
		return nil
	}
	counter := c.counters[command]
	counter.Skipped++
	c.counters[command] = counter
	return fmt.Errorf("%s is %w, another %v, after %d failures: %w", command, ErrBackingOff, b.until.Sub(now).Round(100*time.Millisecond), b.failures, b.last)
}

// note counts a call, and logs what is new of it.
func (c *Client) note(command string, now, began time.Time, failure *Error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count(command, now.Sub(began), failure)
	b := c.backoffs[command]
	if b == nil {
		b = &backoff{}
		c.backoffs[command] = b
	}
	switch {
	case failure == nil || failure.Reason == ErrRefused:
		if b.failures > 0 {
			c.options.Log.Info("Slurm answers again", "command", command, "failures", b.failures, "after", now.Sub(b.since).Round(time.Second))
		}
		if failure != nil && failure.Detail != b.refused {
			c.options.Log.Warn("Slurm refuses", "command", command, "error", failure)
		}
		b.answered(failure)
	default:
		before := b.last
		failure.RetryAt = b.failed(failure, now)
		if before == nil || before.Reason != failure.Reason {
			c.options.Log.Warn("a command of Slurm fails", "command", command, "error", failure, "again", failure.RetryAt.Sub(now).Round(time.Second/10))
		}
	}
}

func (c *Client) count(command string, took time.Duration, failure *Error) {
	counter := c.counters[command]
	counter.Calls++
	counter.Time += took
	if failure != nil {
		counter.Failures++
		switch failure.Reason {
		case ErrTimeout:
			counter.Timeouts++
		case ErrRefused:
			counter.Refusals++
		}
	}
	c.counters[command] = counter
}
