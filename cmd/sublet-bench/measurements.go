package main

import (
	"context"
	"io"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"github.com/sublet-hpc/sublet/bench"
	"github.com/sublet-hpc/sublet/bench/record"
)

// runs makes what runs a measurement.
func (m *measurement) runs(run func(context.Context, *bench.Options) (*record.Run, error)) runFunc {
	return func(ctx context.Context, args []string, stdout io.Writer, stderr *os.File) error {
		return m.measure(ctx, args, run, stdout, stderr)
	}
}

func latencyCommand() *command {
	return &command{
		name: "latency", summary: "round trips of an invocation, by payload size",
		details: `
The client calls a function that copies its input to its output (Lease.Call). A baseline takes turns
with that, in the same two processes on the same cores, and the last column is the median of the
ratios of blocks that followed one another, with its 95 % interval:

  raw       the same transport without Sublet: on shared memory two cache lines, one per direction, and
            memcpy in and out; over libfabric the same provider's ping-pong
  tcp       a socket of the loopback interface, blocking
  http      a request on a connection that is kept, blocking
  mpi       two ranks of the program pingpong under mpirun; they spin, so they come after the others
  invoke    Sublet by Lease.Invoke and Future.Wait, between which a program can compute
  smallest  Sublet with the smallest of the sizes: what a larger payload costs beyond it

hot: the executor spins all the time. warm: it sleeps, and 1 ms passes before each round trip.`,
		examples: []string{
			"sublet-bench latency --baseline raw",
			"sublet-bench latency --sizes 1..4MiB --baseline raw,tcp,http,mpi --save ring.bench",
			"sublet-bench latency --transport ofi --provider tcp --sizes 8,1KiB --baseline raw",
			"sublet-bench latency --mode warm --baseline raw --output json",
			"sublet-bench latency --sizes 8,64MiB --touch=false --baseline smallest",
		},
		setUp: func(flags *pflag.FlagSet) runFunc {
			m := declare(flags)
			m.declareSizes("8,64KiB,1MiB")
			m.declareBaselines(bench.Baselines...)
			m.declareBlocks()
			flags.StringVar(&m.options.Mode, "mode", bench.Hot, "`MODE` of the executor between invocations: hot or warm")
			flags.IntVar(&m.options.InFlight, "inflight", 1, "keep `N` invocations in flight")
			return m.runs(bench.Latency)
		},
	}
}

func bandwidthCommand() *command {
	return &command{
		name: "bandwidth", summary: "how fast inputs move one way, several in flight",
		details: `
The client writes inputs and invokes a function that does not look at them. On shared memory nothing
moves, and what is measured is the client's own writing. GB/s are 10^9 bytes per second; the last
column is the median of the ratios to the baseline's rate: 1 is equal, less is slower.`,
		examples: []string{
			"sublet-bench bandwidth --transport ofi --baseline raw",
			"sublet-bench bandwidth --sizes 64KiB..16MiB --inflight 8",
		},
		setUp: func(flags *pflag.FlagSet) runFunc {
			m := declare(flags)
			m.declareSizes("64KiB,1MiB,4MiB")
			m.declareBaselines(bench.Raw)
			m.declareBlocks()
			flags.IntVar(&m.options.InFlight, "inflight", 4, "keep `N` inputs in flight")
			return m.runs(bench.Bandwidth)
		},
	}
}

func throughputCommand() *command {
	return &command{
		name: "throughput", summary: "empty invocations per second, for 1 to N executors",
		details: `
Each executor has a goroutine of the client that keeps invocations in flight on it. "raw" is the ring's
floor: pairs of cache lines, as many as invocations are in flight, and a loop in C.`,
		examples: []string{"sublet-bench throughput --baseline raw", "sublet-bench throughput --executors 4"},
		setUp: func(flags *pflag.FlagSet) runFunc {
			m := declare(flags)
			m.declareBaselines(bench.Raw)
			m.declareBlocks()
			flags.IntVar(&m.options.Executors, "executors", 1, "measure 1 to `N` of them")
			flags.IntVar(&m.options.InFlight, "inflight", bench.MaxInFlight, "keep `N` invocations in flight on each")
			return m.runs(bench.Throughput)
		},
	}
}

func scaleCommand() *command {
	return &command{
		name: "scale", summary: "what 1 to N executors speed up, against one core and against equal cores",
		details: strings.TrimSpace(`
A step of work in registers is divided evenly between one thread of the client and the executors. "one
core" does all of it with that thread alone; "threads" with as many threads of the client as Sublet
uses cores. 0.50 against one core, with one executor, is a speed-up of 2 on twice the cores; 1.00
against threads says that an executor's core is worth as much as one's own.`),
		examples: []string{"sublet-bench scale --executors 4", "sublet-bench scale --items 2000"},
		setUp: func(flags *pflag.FlagSet) runFunc {
			m := declare(flags)
			m.declareBlocks()
			flags.IntVar(&m.options.Executors, "executors", 1, "measure 1 to `N` of them")
			flags.IntVar(&m.options.Items, "items", 200, "`N` items of work in a step, of some microseconds each")
			return m.runs(bench.Scale)
		},
	}
}
