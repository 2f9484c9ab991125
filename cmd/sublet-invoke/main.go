// Command sublet-invoke does what `sublet invoke` was asked for. It is a program of its own because
// calling a function takes C, which sublet does without; sublet explains and checks the command
// line, and then becomes this program.
//
// Files: run.go the run as a whole, calls.go the invocations, report.go what is told of them,
// files.go input and output, progress.go what a terminal shows meanwhile. The command line is in the
// package options.
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

	"github.com/sublet-hpc/sublet/cmd/sublet-invoke/options"
)

func main() { os.Exit(doMain(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

func doMain(args []string, stdin io.Reader, stdout, stderr *os.File) int {
	o, err := parse(args)
	switch {
	case errors.Is(err, pflag.ErrHelp):
		fmt.Fprintf(stdout, "%s is what sublet invoke becomes; see: sublet help invoke\n", options.Program)
		return 0
	case err != nil:
		fmt.Fprintf(stderr, "%s: %v; use it by way of: sublet invoke\n", options.Program, err)
		return 2
	}
	if err := run(o, stdin, stdout, stderr); err != nil {
		fmt.Fprintln(stderr, "sublet: invoke:", err)
		return 1
	}
	return 0
}

func parse(args []string) (*options.Options, error) {
	flags := pflag.NewFlagSet(options.Program, pflag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.Usage = func() {}
	o := options.Declare(flags)
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	err := o.Read(flags.Args())
	return o, err
}

var errInterrupted = errors.New("interrupted")

// untilSignal is a context that ends with SIGTERM or Ctrl-C. A second one ends the program at once.
func untilSignal() (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM, unix.SIGINT)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}
