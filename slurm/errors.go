package slurm

import (
	"errors"
	"fmt"
	"time"
)

// What can be wrong with a call of one of Slurm's commands; errors.Is tells which.
var (
	// ErrNoSlurm: there is no such command.
	ErrNoSlurm = errors.New("no such command")
	// ErrTimeout: the command did not end in time and was killed. What it was to do may have been done: a job can be
	// there that sbatch had no time to tell of.
	ErrTimeout = errors.New("no answer in time")
	// ErrUnreachable: the command did not reach Slurm's controller, or had no answer from it. What it was to do may have
	// been done.
	ErrUnreachable = errors.New("slurmctld is not reached")
	// ErrRefused: Slurm, or the command itself, has said no; nothing was done.
	ErrRefused = errors.New("refused")
	// ErrFailed: the command failed in another way: it was ended by a signal, or can not be started.
	ErrFailed = errors.New("failed")
	// ErrOutput: the command has succeeded, and what it wrote is not what it should write.
	ErrOutput = errors.New("not understood")
	// ErrBackingOff: the command has not been started, because it failed a short time ago. The error is also what it was
	// then.
	ErrBackingOff = errors.New("left alone for now")
)

// MayBeSubmitted tells whether there may be a job although Submit has failed, or its context has ended. Scripts that can not be
// written are not its business.
func MayBeSubmitted(err error) bool {
	for _, none := range []error{ErrRefused, ErrNoSlurm, ErrBackingOff} {
		if errors.Is(err, none) {
			return false
		}
	}
	return err != nil
}

// Error is a call of one of Slurm's commands that has failed.
type Error struct {
	Command string        // sinfo, squeue, sbatch or scancel
	Reason  error         // one of the above
	Detail  string        // what the command wrote last, or where it was looked for
	After   time.Duration // of an ErrTimeout: the deadline
	// RetryAt is when the command is started again. Until then calls fail at once, with an ErrBackingOff around this one.
	// It is zero if the next call starts it.
	RetryAt time.Time
}

func (e *Error) Error() string {
	said := func(before string) string {
		if e.Detail == "" {
			return ""
		}
		return before + e.Detail
	}
	switch {
	case errors.Is(e.Reason, ErrNoSlurm):
		return fmt.Sprintf("%s is not on PATH; load your site's slurm module, or go to a node that has Slurm's commands%s", e.Command, said("; "))
	case errors.Is(e.Reason, ErrTimeout):
		return fmt.Sprintf("%s did not end within %v and was killed; see whether slurmctld runs (scontrol ping)%s", e.Command, e.After, said("; it wrote: "))
	case errors.Is(e.Reason, ErrUnreachable):
		return fmt.Sprintf("%s has no answer from slurmctld; see whether it runs (scontrol ping)%s", e.Command, said("; it wrote: "))
	case errors.Is(e.Reason, ErrRefused):
		return fmt.Sprintf("Slurm refuses%s", said(": "))
	case errors.Is(e.Reason, ErrOutput):
		return fmt.Sprintf("%s wrote what is not understood%s", e.Command, said(": "))
	default:
		return fmt.Sprintf("%s failed%s", e.Command, said(": "))
	}
}

// Unwrap is the reason.
func (e *Error) Unwrap() error { return e.Reason }
