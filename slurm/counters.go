package slurm

import (
	"errors"
	"fmt"
	"time"
)

// Counters are how often each command was called, by its name: sinfo, squeue, sbatch, scancel.
type Counters map[string]Counter

// Counter is how often one command was called, and how it ended.
type Counter struct {
	Calls    uint64        `json:"calls"`    // that started it, or tried to
	Failures uint64        `json:"failures"` // of these: all that did not succeed, timeouts and refusals included
	Timeouts uint64        `json:"timeouts"` // of these: killed after the deadline
	Refusals uint64        `json:"refusals"` // of these: Slurm has answered, and does not do it
	Skipped  uint64        `json:"skipped"`  // calls that did not start it, because it had failed a short time ago
	Time     time.Duration `json:"time"`
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
	case failure == nil || errors.Is(failure, ErrRefused):
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
		if before == nil || !errors.Is(before, failure.Reason) {
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
		switch {
		case errors.Is(failure, ErrTimeout):
			counter.Timeouts++
		case errors.Is(failure, ErrRefused):
			counter.Refusals++
		}
	}
	c.counters[command] = counter
}
