// Command sublet-bench measures Sublet: latency, bandwidth, throughput, cold starts and scaling, beside
// what the same machine does without it. It keeps every sample, and tabulates, draws and compares
// what it kept. See sublet-bench help, and docs/performance.md.
//
// Here is only the command line; the measuring is in package bench.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"

	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"github.com/sublet-hpc/sublet/cmd/internal/usage"
	"github.com/sublet-hpc/sublet/internal/commandline"
)

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() { os.Exit(doMain(os.Args[1:], os.Stdout, os.Stderr)) }

// command is one of sublet-bench's.
type command struct {
	name, synopsis, summary, details string
	examples                         []string
	// setUp declares flags and returns what runs the command.
	setUp func(*pflag.FlagSet) runFunc
}

type runFunc func(ctx context.Context, args []string, stdout io.Writer, stderr *os.File) error

func usagef(format string, args ...any) error { return usage.Errorf(format, args...) }

func doMain(args []string, stdout, stderr *os.File) int {
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM, unix.SIGINT)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	err := dispatch(ctx, args, stdout, stderr)
	if err == nil {
		return exitOK
	}
	var wrong *usage.Error
	switch {
	case errors.As(err, &wrong):
		fmt.Fprintln(stderr, "sublet-bench:", err)
		return exitUsage
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(stderr, "sublet-bench: interrupted")
	default:
		fmt.Fprintln(stderr, "sublet-bench:", err)
	}
	return exitFailed
}

func dispatch(ctx context.Context, args []string, stdout io.Writer, stderr *os.File) error {
	if len(args) == 0 {
		writeOverview(stderr)
		return usagef("which measurement?")
	}
	if args[0] == "-h" || args[0] == "--help" {
		writeOverview(stdout)
		return nil
	}
	c := find(args[0])
	if c == nil {
		return usagef("there is no command %q; see: sublet-bench help", args[0])
	}
	flags := pflag.NewFlagSet(c.name, pflag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.Usage = func() {}
	run := c.setUp(flags)
	if err := flags.Parse(args[1:]); errors.Is(err, pflag.ErrHelp) {
		writeHelp(stdout, c)
		return nil
	} else if err != nil {
		return usagef("%s: %v; see: sublet-bench help %s", c.name, commandline.Reason(err), c.name)
	}
	return run(ctx, flags.Args(), stdout, stderr)
}
