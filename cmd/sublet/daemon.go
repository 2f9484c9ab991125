package main

import (
	"bufio"
	"context"
	"io"
	"os"
	"os/signal"

	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"
)

// untilSignal is a context that ends with SIGTERM or Ctrl-C.
func untilSignal() (context.Context, context.CancelFunc) {
	return signal.NotifyContext(context.Background(), unix.SIGTERM, unix.SIGINT)
}

// lifelineFlag declares --lifeline of a daemon.
func lifelineFlag(flags *pflag.FlagSet) *bool {
	return flags.Bool("lifeline", false, "end when standard input ends")
}

// untilEnd is a context that ends with SIGTERM, Ctrl-C or, if that is a lifeline, the end of standard input. said, which may be nil, gets
// the lines that come before it.
func untilEnd(lifeline bool, said func(line string)) (context.Context, context.CancelFunc) {
	ctx, stop := untilSignal()
	if !lifeline {
		return ctx, stop
	}
	// A context of its own: after stop a SIGTERM that comes as well, as Slurm's does, would be the end at once.
	ctx, cut := context.WithCancel(ctx)
	go func() {
		lines := bufio.NewScanner(os.Stdin)
		for lines.Scan() {
			if said != nil {
				said(lines.Text())
			}
		}
		_, _ = io.Copy(io.Discard, os.Stdin) // behind a line that is too long; an error is an end as well
		cut()
	}()
	return ctx, func() {
		cut()
		stop()
	}
}

const runDirectoryHelp = "the run `DIR`ectory (default $SUBLET_DIR, else ~/.sublet/current)"

func directoryFlag(flags *pflag.FlagSet) *string { return flags.String("dir", "", runDirectoryHelp) }

// metricsFlag declares --metrics of a daemon.
func metricsFlag(flags *pflag.FlagSet) *string {
	return flags.String("metrics", "", "`ADDRESS`, host:port, at which Prometheus finds metrics without a token (default: none)")
}
