// Command sublet is Sublet's one command for people and scripts.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/pflag"

	"github.com/sublet-hpc/sublet/cmd/internal/usage"
	"github.com/sublet-hpc/sublet/internal/commandline"
	"github.com/sublet-hpc/sublet/resources/api"
)

// Exit codes.
const (
	exitOK        = 0
	exitFailed    = 1
	exitUsage     = 2
	exitNoManager = 3 // there is no resource manager, or it does not answer
	exitUnknown   = 4 // the node, lease, request or account that was named is not there
	exitInUse     = 5 // what was named is in use
)

// exitCode says what kind of error it is.
func exitCode(err error) int {
	var wrong *usage.Error
	var unreachable *api.Unreachable
	var several failures
	if errors.As(err, &several) {
		err = several[0]
	}
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &wrong):
		return exitUsage
	case errors.Is(err, api.ErrNoResourceManager), errors.As(err, &unreachable):
		return exitNoManager
	case errors.Is(err, api.ErrUnknownNode), errors.Is(err, api.ErrUnknownLease), errors.Is(err, api.ErrUnknownAccount), errors.Is(err, errNoJob):
		return exitUnknown
	case errors.Is(err, api.ErrInUse):
		return exitInUse
	}
	return exitFailed
}

func main() { os.Exit(doMain(os.Args[1:], os.Stdout, os.Stderr)) }

// command is one of sublet's commands; each has a file of its own.
type command struct {
	name     string
	synopsis string   // its arguments
	verbs    []string // of a noun; the first argument is one of them
	summary  string   // one line
	details  string   // more lines, may be empty
	examples []string
	internal bool // of use to Sublet itself only
	// setUp declares flags and returns what runs the command. One that only has others behind it has none.
	setUp func(*pflag.FlagSet) runFunc
	// commands are those behind it, each called "NAME OTHER", with flags of its own.
	commands []*command
}

// runFunc runs a command with the arguments that are no flags.
type runFunc func(args []string, stdout, stderr io.Writer) error

func usagef(format string, args ...any) error { return usage.Errorf(format, args...) }

func doMain(args []string, stdout, stderr io.Writer) int {
	err := dispatch(args, stdout, stderr)
	if err != nil {
		fmt.Fprintln(stderr, "sublet:", err)
	}
	return exitCode(err)
}

func dispatch(args []string, stdout, stderr io.Writer) error {
	if len(args) == 0 {
		writeOverview(stderr)
		return usagef("which command?")
	}
	switch args[0] {
	case "-h", "--help":
		writeOverview(stdout)
		return nil
	case "--version":
		args = []string{"version"}
	}
	c, args, err := subcommand(args)
	if err != nil {
		return err
	}
	if c.setUp == nil {
		writeHelp(stdout, c)
		return nil
	}
	flags := pflag.NewFlagSet(c.name, pflag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.Usage = func() {}
	run := c.setUp(flags)
	if err := flags.Parse(args); errors.Is(err, pflag.ErrHelp) {
		writeHelp(stdout, c)
		return nil
	} else if err != nil {
		return usagef("%s: %v; see: sublet help %s", c.name, commandline.Reason(err), c.name)
	}
	return run(flags.Args(), stdout, stderr)
}

// noArguments refuses arguments that a command does not take.
func noArguments(name string, args []string) error {
	if len(args) > 0 {
		return usagef("%s: unexpected argument %q; see: sublet help %s", name, args[0], name)
	}
	return nil
}
