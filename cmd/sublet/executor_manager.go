package main

import (
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/sublet-hpc/sublet/executors/manager"
	"github.com/sublet-hpc/sublet/internal/cpus"
	"github.com/sublet-hpc/sublet/launcher"
)

func executorManagerCommand() *command {
	return &command{
		name: "executor-manager", summary: "lend this node's cores to the leases of others",
		details: `
It lends the whole cores of this node (in a job: of the job's part of it) that no rank computes on and
nobody else has claimed. It waits for a resource manager that is not there yet, goes on when it
goes away, and registers again when it is back.

On SIGTERM or Ctrl-C, and --drain-before its allocation ends, it takes no new leases; programs send it nothing more,
and lease elsewhere as soon as what was running has been answered. Then it deregisters and ends: after --grace, or two
seconds before the end of the allocation, in any case. Half of the time that is left is the most that is drained, so that
short allocations are of use.

--cores 4 lends the first four cores; --cores 0-3,8 those cores; "4," core 4 alone. --memory bounds what it lends of
the node's memory. In a job of Slurm's it lends no more cores than the job has on this node.

-c FILE sets it up by rFaaS's executor_manager.json, whose rdma_device --device-database has: at that
device's address and rdma_device_port it listens for clients. Flags go before what the file says.

With --skip-resource-manager it grants leases itself, to clients that have its address in an
executors database (sublet invoke --executors-database; SUBLET_EXECUTORS_DATABASE). Clients of yours on
this host need nothing else, on other hosts the token that it makes (SUBLET_TOKEN_FILE, else
~/.sublet/token). Others get nothing.

It keeps some executors started for leases that come, on free cores (--pool); they cost nothing but some
megabytes each until then.

With --metrics it serves metrics for Prometheus, to whoever can reach that address. They are counts, and
name no users, leases or libraries.

With --lifeline it also ends when its standard input does: with whoever holds the other end of that pipe. A line "ends WHEN"
there says anew when its allocation ends, in seconds since 1970, or never.

SUBLET_LOG=debug|info|warn|error says what it logs to standard error; info if not set. What functions
print goes there too, if their client is on another host.`,
		examples: []string{
			"sublet executor-manager",
			"sublet executor-manager --dir ~/runs/today --cores 8-15 --name n7b",
			"sublet executor-manager -c executor_manager.json --device-database devices.json --skip-resource-manager",
		},
		setUp: func(flags *pflag.FlagSet) runFunc {
			options := manager.DaemonOptions{}
			file := managerFile{}
			flags.StringVar(&options.Directory, "dir", "", runDirectoryHelp)
			flags.StringVar(&options.Listen, "listen", "", "`ADDRESS`, host:port, for clients on other hosts (default: that of -c, else any free port of the interface towards the resource manager)")
			flags.StringVar(&options.Name, "name", "", "`NAME` of the node; %N in it is what Slurm calls it (default: that of -c, else Slurm's, else this host's)")
			flags.StringVar(&options.NameIfTaken, "name-if-taken", "", "`NAME` of the node where another executor manager has that one (default: it is waited for 10 s)")
			file.declare(flags)
			retirement := retirementFlags{}
			retirement.declare(flags)
			metrics := metricsFlag(flags)
			pool := flags.Int("pool", manager.DefaultPool, "keep `N` executors started for leases; 0: none; -1: one for each free core, at most 4")
			part := jobPart{}
			part.declare(flags)
			lifeline := lifelineFlag(flags)
			cores := flags.String("cores", "", "how many of its cores to lend, or a `LIST` of them (default: all)")
			return func(args []string, _, stderr io.Writer) error {
				if err := noArguments("executor-manager", args); err != nil {
					return err
				}
				if *cores != "" {
					choice, err := parseCores(*cores)
					if err != nil {
						return err
					}
					options.Cores = choice
				}
				if *pool < manager.DefaultPool || *pool > manager.MaxPool {
					return usagef("executor-manager: --pool %d: it is from 0 to %d, or -1 for one for each free core, at most 4", *pool, manager.MaxPool)
				}
				options.Pool, options.Metrics = *pool, *metrics
				if err := file.apply(&options, stderr); err != nil {
					return err
				}
				if err := part.apply(&options); err != nil {
					return err
				}
				return runExecutorManager(options, &retirement, file.alone, *lifeline, stderr)
			}
		},
	}
}

func runExecutorManager(options manager.DaemonOptions, retirement *retirementFlags, alone, lifeline bool, stderr io.Writer) error {
	var err error
	if options.Log, err = newLogger(stderr, "executor-manager", slog.LevelInfo); err != nil {
		return err
	}
	if options.Retirement, err = retirement.read(options.Log); err != nil {
		return err
	}
	changes := make(chan time.Time, 1)
	options.Changes = changes
	ctx, stop := untilEnd(lifeline, func(line string) {
		ends, is := launcher.ParseWord(line)
		if !is {
			return
		}
		select {
		case <-changes: // what nobody has read yet does not count any more
		default:
		}
		changes <- ends
	})
	defer stop()
	if alone {
		return manager.RunDirect(ctx, manager.DirectOptions{Options: options.Options, Listen: options.Listen, Metrics: options.Metrics, Retirement: options.Retirement})
	}
	return manager.RunDaemon(ctx, options)
}

// parseCores reads --cores: a number is how many, a list with a comma or a hyphen which.
func parseCores(text string) (func([]int) ([]int, error), error) {
	if count, err := strconv.Atoi(text); err == nil && count > 0 {
		return func(all []int) ([]int, error) {
			if count > len(all) {
				return nil, fmt.Errorf("--cores %d: this node has %d cores that can be lent: %v", count, len(all), all)
			}
			return all[:count], nil
		}, nil
	}
	wanted, err := cpus.Parse(strings.TrimSuffix(text, ","))
	if err != nil {
		return nil, usagef("executor-manager: --cores %s: neither a number nor a list such as 0-3,8: %v", text, err)
	}
	return theseCores("--cores "+text, wanted), nil
}

// theseCores chooses all of these; by says who wants them.
func theseCores(by string, wanted []int) func([]int) ([]int, error) {
	return func(all []int) ([]int, error) {
		for _, core := range wanted {
			if !slices.Contains(all, core) {
				return nil, fmt.Errorf("%s: core %d can not be lent; these can: %v", by, core, all)
			}
		}
		return wanted, nil
	}
}
