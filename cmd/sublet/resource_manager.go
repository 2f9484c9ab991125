package main

import (
	"fmt"
	"io"
	"log/slog"

	"github.com/spf13/pflag"

	"github.com/sublet-hpc/sublet/resources/server"
)

func resourceManagerCommand() *command {
	return &command{
		name: "resource-manager", summary: "grant leases on the cores of many nodes",
		details: `
It writes access.json into its run directory: its address, and the token that whoever uses it needs.
Only you can read that file. Executor managers and programs find it by SUBLET_DIR or
~/.sublet/current. It serves until SIGTERM or Ctrl-C; running leases do not need it.

It listens on this host alone unless --listen names an address of a network. What it says there is
not encrypted yet: name only networks whose users you trust.

It has metrics for Prometheus at /metrics of its address, for who has the token; with --metrics also at
an address of their own, without one. They are counts, and name no users, leases or libraries.

SUBLET_LOG=debug|info|warn|error says what it logs to standard error; info if not set.`,
		examples: []string{
			"sublet resource-manager",
			"sublet resource-manager --dir ~/runs/today --listen 10.1.0.5:0",
		},
		setUp: func(flags *pflag.FlagSet) runFunc {
			dir := flags.String("dir", "", "the run `DIR`ectory (default $SUBLET_DIR, else a new one that ~/.sublet/current links to)")
			listen := flags.String("listen", "127.0.0.1:0", "`ADDRESS`, host:port, to listen at; port 0 is any that is free")
			metrics := metricsFlag(flags)
			return func(args []string, stdout, stderr io.Writer) error {
				if err := noArguments("resource-manager", args); err != nil {
					return err
				}
				return runResourceManager(server.Options{Directory: *dir, Listen: *listen, Metrics: *metrics}, stdout, stderr)
			}
		},
	}
}

func runResourceManager(options server.Options, stdout, stderr io.Writer) error {
	var err error
	if options.Log, err = newLogger(stderr, "resource-manager", slog.LevelInfo); err != nil {
		return err
	}
	ctx, stop := untilSignal()
	defer stop()
	s, err := server.Open(options)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "resource manager at %s\nrun directory %s\n", s.URL(), s.Directory())
	return s.Run(ctx)
}
