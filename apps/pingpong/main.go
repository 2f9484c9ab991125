// Command pingpong measures round trips between two MPI ranks, as something to compare invocations
// with. sublet-bench latency --baseline mpi runs it; by hand:
//
//	mpirun -n 2 bin/pingpong --bytes 8
//
// It prints one JSON object: bytes, mpi, blocks[]{elapsed_ns, samples_ns[]}.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"

	mpi "github.com/sbromberger/gompi"
	"github.com/spf13/pflag"

	"github.com/sublet-hpc/sublet/apps/internal/collective"
	"github.com/sublet-hpc/sublet/internal/commandline"
)

// MPI must be called from the thread that started it.
func init() { runtime.LockOSThread() }

func main() { os.Exit(doMain(os.Args[1:], os.Stdout, os.Stderr)) }

type options struct {
	bytes, blocks, count, warmup int
	touch                        bool
}

// result is what is printed.
type result struct {
	Bytes  int     `json:"bytes"`
	MPI    string  `json:"mpi"`
	Blocks []block `json:"blocks"`
}

type block struct {
	Elapsed int64   `json:"elapsed_ns"`
	Samples []int64 `json:"samples_ns"`
}

const help = `Measures round trips between two MPI ranks, to compare invocations with.

Usage: mpirun -n 2 pingpong [FLAGS]

It prints one JSON object: bytes, mpi, blocks (elapsed_ns, samples_ns).

Flags:
%s
Examples:
  mpirun -n 2 pingpong --bytes 8
  sublet-bench latency --baseline mpi    runs it in turns with invocations
`

func doMain(args []string, stdout, stderr io.Writer) int {
	var o options
	flags := pflag.NewFlagSet("pingpong", pflag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.IntVar(&o.bytes, "bytes", 8, "payload of `N` bytes, there and back")
	flags.IntVar(&o.blocks, "blocks", 40, "`N` blocks of round trips")
	flags.IntVar(&o.count, "count", 500, "`N` round trips of a block")
	flags.IntVar(&o.warmup, "warmup", 500, "`N` round trips before them that are thrown away")
	flags.BoolVar(&o.touch, "touch", true, "the other rank copies what it gets")
	parsed := flags.Parse(args)

	mpi.Start(true)
	defer mpi.Stop()
	world, err := collective.Join()
	if err != nil {
		fmt.Fprintln(stderr, "pingpong:", err)
		return 1
	}
	if world.Rank() != 0 { // both know what there is to say, and the first one says it
		stdout, stderr = io.Discard, io.Discard
	}
	switch {
	case errors.Is(parsed, pflag.ErrHelp):
		fmt.Fprintf(stdout, help, flags.FlagUsages())
		return 0
	case parsed == nil && (o.blocks < 1 || o.count < 1 || o.warmup < 0 || flags.NArg() > 0):
		parsed = errors.New("--blocks and --count are at least 1, --warmup at least 0, and there are no arguments")
	}
	if parsed != nil {
		fmt.Fprintf(stderr, "pingpong: %v; see pingpong --help\n", commandline.Reason(parsed))
		return 2
	}
	if err := run(world, &o, stdout); err != nil {
		fmt.Fprintln(os.Stderr, "pingpong:", err)
		var broken *collective.MPIError
		if errors.As(err, &broken) { // the ranks are out of step
			world.Abort(1)
		}
		return 1
	}
	return 0
}

func run(world *collective.World, o *options, stdout io.Writer) error {
	r := result{Bytes: o.bytes, MPI: world.Library()}
	if _, err := world.RoundTrips(o.bytes, o.warmup, o.touch); err != nil {
		return err
	}
	for range o.blocks {
		samples, err := world.RoundTrips(o.bytes, o.count, o.touch)
		if err != nil {
			return err
		}
		b := block{Samples: samples}
		for _, ns := range samples {
			b.Elapsed += ns
		}
		r.Blocks = append(r.Blocks, b)
	}
	if world.Rank() != 0 {
		return nil
	}
	return json.NewEncoder(stdout).Encode(&r)
}
