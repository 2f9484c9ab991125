package options

import (
	"io"
	"strings"

	"github.com/spf13/pflag"

	"github.com/sublet-hpc/sublet/apps/internal/share"
)

func flagSet(o *Options) *pflag.FlagSet {
	o.Offload = share.Share{Auto: true}
	flags := pflag.NewFlagSet("blackscholes", pflag.ContinueOnError)
	flags.SortFlags = false
	flags.SetOutput(io.Discard)
	flags.Usage = func() {}
	flags.StringVar(&o.Input, "input", "", "read the options from this `file`, in PARSEC's text format or in the binary form (default: they are generated in memory)")
	flags.StringVar(&o.Output, "output", "", "write the prices to this `file`, in PARSEC's text format")
	flags.IntVar(&o.Generate, "generate", 0, "write this `number` of options to --output, with reference prices, and price none")
	flags.IntVar(&o.Size, "size", 10_000_000, "`number` of options that are generated in memory")
	flags.Uint64Var(&o.Seed, "seed", 1, "`number` that options are generated from")
	flags.BoolVar(&o.Binary, "binary", false, "write --output in the binary form")
	flags.BoolVar(&o.Check, "check", false, "compare the prices with the reference prices; a difference of 0.0001 or more is a mismatch, as for PARSEC")
	flags.StringVar((*string)(&o.Precision), "precision", string(Single), "`precision` of all numbers: single or double")
	flags.StringVar(&o.Kernel, "kernel", Vector, "`name` of what prices: vector (C, many options at once), parsec (C, PARSEC's operations and its prices to the last bit) or go (pure Go, on the ranks only)")
	flags.Var(&o.Offload, "offload", "`share` of each rank's options that its executors price: a number of percent, or auto, for what is fastest, which is found by measuring")
	flags.IntVar(&o.Executors, "executors", 1, "`number` of executors that each rank leases, with auto at most")
	flags.Var(&o.ExecutorMemory, "executor-memory", "`size` of the memory that each executor may use, as in 4G: for the options that are in memory at once and their prices; 0: an equal share of its node's for each core")
	flags.StringVar(&o.Library, "library", "", "`path` of the executors' function library (default: libblackscholes.so beside this program, or in ../lib/sublet from there)")
	flags.IntVar(&o.Repeat, "repeat", 1, "price all options this `number` of times, for timing; the report has the median")
	flags.StringVar((*string)(&o.Report), "report", string(Table), "`form` of the report on standard output: table or json")
	flags.StringVar(&o.Trace, "trace", "", "write to this `file` who priced what when, as chrome://tracing and Perfetto show it; one for each rank, with its number at the end if there are several")
	return flags
}

// Help is the text of --help.
func Help() string {
	var b strings.Builder
	b.WriteString(`Prices European options by the closed form of Black and Scholes, as PARSEC's blackscholes does: options from a
file, or generated ones.
The options are divided among the ranks; each rank has executors price part of its own.

Usage: mpirun -n RANKS blackscholes [options]

`)
	b.WriteString(flagSet(&Options{}).FlagUsagesWrapped(100))
	b.WriteString(`
Examples:
  mpirun -n 1 blackscholes                                           10 million options, generated in memory
  mpirun -n 1 blackscholes --generate 10000000 --output options.txt  a file of them, in PARSEC's format
  mpirun -n 2 blackscholes --input options.txt --output prices.txt --check
  mpirun -n 1 blackscholes --offload 50 --executors 2 --repeat 20    half of them on two executors, for timing
  mpirun -n 1 blackscholes --input options.txt --output prices.txt --kernel parsec    PARSEC's own output, byte by byte

Environment:
  SUBLET_TRANSPORT, SUBLET_PROVIDER    how executors are reached: ring or ofi, and libfabric's provider
  SUBLET_BIN                           the directory of sublet and sublet-executor

Exit status: 0 priced; 1 failed, or mismatches; 2 wrong usage.
`)
	return b.String()
}
