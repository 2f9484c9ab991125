// Command sublet-executor is the process that runs a lease's functions on its cores. Executor
// managers start it; people never do.
package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"

	"github.com/spf13/pflag"

	"github.com/sublet-hpc/sublet/executors/executor"
	"github.com/sublet-hpc/sublet/internal/control"
)

func main() { os.Exit(doMain(os.Args[1:])) }

func doMain(args []string) int {
	flags := pflag.NewFlagSet("sublet-executor", pflag.ContinueOnError)
	flags.String("lease", "", "the lease it belongs to, for ps")
	flags.Int("index", 0, "its index in the lease, for ps")
	spare := flags.Bool("spare", false, "wait for a lease")
	libfabric := flags.Bool("libfabric", false, "load libfabric before the lease comes")
	probing := declareProbe(flags)
	flags.Usage = func() {
		fmt.Fprintln(os.Stderr, "sublet-executor runs the functions of a lease. Executor managers start it; it is of no use by hand.")
	}
	if err := flags.Parse(args); errors.Is(err, pflag.ErrHelp) {
		return 0
	} else if err != nil {
		fmt.Fprintln(os.Stderr, "sublet-executor:", err)
		return 2
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	run := func() error { return executor.Run(executor.Options{Spare: *spare, Libfabric: *libfabric, Log: log}) }
	if probing.mode != "" {
		runtime.GOMAXPROCS(4) // also where it may run on one core: what it tries holds threads in C
		run = func() error { return probing.run(os.Stdout, log) }
	}
	err := run()
	if err == nil {
		return 0
	}
	var told *control.Failed
	if !errors.As(err, &told) { // else its manager says so, with more around it
		fmt.Fprintln(os.Stderr, "sublet-executor:", err)
	}
	return 1
}
