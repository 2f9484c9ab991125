package slurm

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
)

// request is what a command is started with, and who reads what it writes.
type request struct {
	args        []string
	environment []string
	input       string
	read        func(out []byte) error // nil: nobody
}

// call runs a command, unless it failed a short time ago, and has what it wrote read.
func (c *Client) call(ctx context.Context, command string, r request) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", command, context.Cause(ctx))
	}
	began := c.now()
	if err := c.leftAlone(command, began); err != nil {
		return err
	}
	out, failure := c.start(ctx, command, r)
	if failure != nil && ctx.Err() != nil { // the caller has given up, which says nothing about Slurm
		return fmt.Errorf("%s: %w", command, context.Cause(ctx))
	}
	if failure == nil && r.read != nil {
		failure = judgeOutput(command, r.read(out))
	}
	c.note(command, c.now(), began, failure)
	if failure != nil {
		return failure
	}
	return nil
}

// start runs a command with a deadline, and says what its failure means.
func (c *Client) start(ctx context.Context, command string, r request) ([]byte, *Error) {
	path, failure := c.find(command)
	if failure != nil {
		return nil, failure
	}
	ctx, cancel := context.WithTimeout(ctx, c.options.Deadline)
	defer cancel()
	out, said, err := execute(ctx, path, r.args, r.environment, r.input, c.options.MaxOutput)
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
	path := map[string]string{
		"sinfo": c.options.Sinfo, "squeue": c.options.Squeue, "sbatch": c.options.Sbatch,
		"scancel": c.options.Scancel, "srun": c.options.Srun,
	}[command]
	if path == "" {
		path = command
	}
	found, err := exec.LookPath(path)
	if err != nil {
		return "", &Error{Command: command, Reason: ErrNoSlurm, Detail: err.Error()}
	}
	return found, nil
}

// unreachable is what Slurm's commands say when it is not the controller that refuses: it was not reached, or what it has
// answered did not arrive, or it wants to be left alone. Every other sentence counts as a refusal, after which nothing has been done.
var unreachable = []string{
	"Unable to contact slurm controller",
	"Socket timed out",
	"Connection refused",
	"Connection reset",
	"Connection timed out",
	"Broken pipe",
	"No route to host",
	"Network is unreachable",
	"Communication connection failure",
	"Communication shutdown failure",
	"Message send failure",
	"Message receive failure",
	"Unexpected message received",
	"Unexpected missing socket",
	"Insane message length",
	"Header lengths are longer",
	"Zero Bytes were transmitted",
	"Unspecified error",
	"Rate limit exceeded",
	"Protocol authentication error",
	"in standby mode",
	"Can't find an address",
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
