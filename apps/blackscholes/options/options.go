package options

import (
	"errors"
	"fmt"

	"github.com/spf13/pflag"

	"github.com/sublet-hpc/sublet/apps/internal/share"
	"github.com/sublet-hpc/sublet/internal/bytesize"
)

// Options are a run's.
type Options struct {
	Input    string // file; empty: options are generated in memory, Size of them
	Output   string // file of the prices, or with Generate of the options; empty for none
	Generate int    // options, written to Output and not priced; 0: options are priced
	Size     int
	Seed     uint64
	Binary   bool // Output is in the binary form
	Check    bool // compare with the reference prices

	Precision Precision
	Kernel    string

	Offload   share.Share // of each rank's options
	Executors int         // per rank
	// ExecutorMemory is what each may use, in bytes; 0: the default of a lease.
	ExecutorMemory bytesize.Value
	Library        string // empty: beside the program

	Repeat int // how often all options are priced
	Report Report
	Trace  string // file, empty for none
}

// Precision is what numbers are kept in.
type Precision string

// Precisions.
const (
	Single Precision = "single"
	Double Precision = "double"
)

// Report is the form of the report.
type Report string

// Forms of the report.
const (
	Table Report = "table"
	JSON  Report = "json"
)

// Kernels, as package pricing has them.
const (
	Vector = "vector"
	Parsec = "parsec"
	Go     = "go"
)

// Limits.
const (
	MaxSize      = 1 << 40
	MaxExecutors = 1024
	MaxRepeat    = 1_000_000
)

// ErrHelp is returned by Parse for --help.
var ErrHelp = pflag.ErrHelp

// Parse reads the arguments behind the program's name. Errors other than ErrHelp say in one line
// what is wrong with them.
func Parse(args []string) (Options, error) {
	var o Options
	flags := flagSet(&o)
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("%q is no option of this program, which takes no other arguments", flags.Arg(0))
	}
	if err := o.check(flags); err != nil {
		return o, err
	}
	if o.Kernel == Go {
		o.Offload = share.Share{}
	}
	return o, nil
}

func (o *Options) check(flags *pflag.FlagSet) error {
	given := flags.Changed
	switch {
	case given("input") && o.Input == "" || given("output") && o.Output == "" || given("trace") && o.Trace == "":
		return errors.New("--input, --output and --trace need the name of a file, and one of them is empty")
	case o.Trace != "" && (o.Trace == o.Input || o.Trace == o.Output):
		return fmt.Errorf("--trace %s is also --input or --output; it needs a file of its own", o.Trace)
	case given("generate") && (given("input") || given("check") || given("size") || given("offload") || given("repeat") || given("trace")):
		return errors.New("--generate with --input, --check, --size, --offload, --repeat or --trace: it writes options and prices none; choose one")
	case given("generate") && (o.Generate < 1 || o.Generate > MaxSize):
		return fmt.Errorf("--generate %d: 1 to %d options", o.Generate, MaxSize)
	case given("generate") && o.Output == "":
		return errors.New("--generate without --output: name the file that the options are written to")
	case given("input") && (given("size") || given("seed")):
		return errors.New("--input with --size or --seed: options are read or generated; choose one")
	case o.Size < 1 || o.Size > MaxSize:
		return fmt.Errorf("--size %d: 1 to %d options", o.Size, MaxSize)
	case given("binary") && o.Output == "":
		return errors.New("--binary without --output: it is the form of that file; what is read is recognized by itself")
	case o.Precision != Single && o.Precision != Double:
		return fmt.Errorf("--precision %s: there are single and double", o.Precision)
	case o.Kernel != Vector && o.Kernel != Parsec && o.Kernel != Go:
		return fmt.Errorf("--kernel %s: there are vector, parsec and go", o.Kernel)
	case o.Kernel == Parsec && o.Precision == Double:
		return errors.New("--kernel parsec with --precision double: PARSEC's arithmetic is that of single precision; use --kernel vector")
	case o.Kernel == Go && given("offload") && !o.Offload.None():
		return fmt.Errorf("--kernel go with --offload %s: executors have the other kernels only; use --offload 0", &o.Offload)
	case o.Executors < 0 || o.Executors > MaxExecutors || o.Executors == 0 && !o.Offload.None():
		return fmt.Errorf("--executors %d: 1 to %d per rank; --offload 0 runs without any", o.Executors, MaxExecutors)
	case o.Repeat < 1 || o.Repeat > MaxRepeat:
		return fmt.Errorf("--repeat %d: 1 to %d times", o.Repeat, MaxRepeat)
	case o.Report != Table && o.Report != JSON:
		return fmt.Errorf("--report %s: there are table and json", o.Report)
	}
	return nil
}
