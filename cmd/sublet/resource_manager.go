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
It writes access.json into its run directory: its address, the pin of its key, and the tokens that
whoever uses it needs. Only you can read that file; "sublet access" hands out parts of it. Executor managers and programs find it by SUBLET_DIR or
~/.sublet/current. It serves until SIGTERM or Ctrl-C; running leases do not need it.

What it has granted lasts: it is in a ledger, written to the disk before it is answered, and there again when
it is killed and started again with the same directory. The ledger lies in the run directory if that is on
a disk of this host; if it is on NFS, Lustre or the like, then in /var/tmp, or where that is memory as well
in $XDG_RUNTIME_DIR or /dev/shm, with a copy in the run directory. --data names another place on this host.

It listens on this host alone unless --listen names an address of a network. It speaks TLS 1.3 there. Its
key and tokens are kept beside the ledger, so that access that was handed out outlives it.

It has metrics for Prometheus at /metrics of its address, for who has a token; with --metrics also at
an address of their own, without one. They are counts, and name accounts, but no users, leases or libraries.

It keeps a bill ("sublet bill"): what each account has used. --prices FILE says what that costs, and
--quotas FILE what accounts may have at once, and use; a lease beyond is refused, and those that there are
go on. Both files are read at the start. Ended leases have a line each in bill.jsonl of the run directory;
without --dir or SUBLET_DIR that is removed when the resource manager ends, and the bill with it.

-c FILE sets it up by rFaaS's resource_manager.json: executor managers and programs reach it at the
address that --device-database has for rdma_device, at rdma_device_port. At http_network_address and
http_network_port batch systems add and take out nodes, with rFaaS's

  curl http://127.0.0.1:5000/add\?node\=n1 -X POST -d '{"ip_address": "10.1.0.6", "port": 10005, "cores": 1, "memory": 512}'
  curl http://127.0.0.1:5000/remove\?node\=n1 -X POST

which needs no token from your own processes on this host, and else the batch token of access.json: this port is not encrypted. A node is leased
when its executor manager has registered; /add, or -i FILE, bounds how many of its cores and how much of
its memory. The run directory keeps what was said.

With --lifeline it also ends when its standard input does: with whoever holds the other end of that pipe.

SUBLET_LOG=debug|info|warn|error says what it logs to standard error; info if not set.`,
		examples: []string{
			"sublet resource-manager",
			"sublet resource-manager --dir ~/runs/today --listen 10.1.0.5:0",
			"sublet resource-manager --dir ~/runs/today --data /local/ledger",
			"sublet resource-manager -c resource_manager.json --device-database devices.json -i executors_database.json",
		},
		setUp: func(flags *pflag.FlagSet) runFunc {
			options, file := server.Options{}, resourceFile{}
			flags.StringVar(&options.Directory, "dir", "", "the run `DIR`ectory (default $SUBLET_DIR, else a new one that ~/.sublet/current links to)")
			flags.StringVar(&options.Listen, "listen", "", "`ADDRESS`, host:port, to listen at; port 0 is any that is free (default: that of -c, else 127.0.0.1:0)")
			flags.StringVar(&options.Data, "data", "", "the `DIR`ectory of the ledger, on a disk of this host (default: one in the run directory, or a local one)")
			file.declare(flags, &options)
			money := billingFiles{}
			money.declare(flags)
			metrics := metricsFlag(flags)
			lifeline := lifelineFlag(flags)
			return func(args []string, stdout, stderr io.Writer) error {
				if err := noArguments("resource-manager", args); err != nil {
					return err
				}
				if err := file.apply(&options, stderr); err != nil {
					return err
				}
				if err := money.read(&options); err != nil {
					return err
				}
				options.Metrics = *metrics
				return runResourceManager(options, *lifeline, stdout, stderr)
			}
		},
	}
}

func runResourceManager(options server.Options, lifeline bool, stdout, stderr io.Writer) error {
	var err error
	if options.Log, err = newLogger(stderr, "resource-manager", slog.LevelInfo); err != nil {
		return err
	}
	ctx, stop := untilEnd(lifeline, nil)
	defer stop()
	s, err := server.Open(options)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "resource manager at %s\nrun directory %s\nledger %s\n", s.URL(), s.Directory(), s.Ledger())
	return s.Run(ctx)
}
