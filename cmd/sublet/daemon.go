package main

import (
	"context"
	"os/signal"

	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"
)

// untilSignal is a context that ends with SIGTERM or Ctrl-C.
func untilSignal() (context.Context, context.CancelFunc) {
	return signal.NotifyContext(context.Background(), unix.SIGTERM, unix.SIGINT)
}

const runDirectoryHelp = "the run `DIR`ectory (default $SUBLET_DIR, else ~/.sublet/current)"

func directoryFlag(flags *pflag.FlagSet) *string { return flags.String("dir", "", runDirectoryHelp) }

// metricsFlag declares --metrics of a daemon.
func metricsFlag(flags *pflag.FlagSet) *string {
	return flags.String("metrics", "", "`ADDRESS`, host:port, at which Prometheus finds metrics without a token (default: none)")
}
