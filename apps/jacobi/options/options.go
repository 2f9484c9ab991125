package options

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/pflag"

	"github.com/sublet-hpc/sublet/apps/internal/share"
	"github.com/sublet-hpc/sublet/internal/bytesize"
)

// Options are a run's.
type Options struct {
	Size      int
	Seed      uint64
	Dominance float64
	Matrix    string // file of the system instead; Size follows from it
	RHS       string // file, empty for the sum of each row

	Offload   share.Share // of each rank's rows
	Executors int         // per rank
	// ExecutorMemory is what each may use, in bytes; 0: the default of a lease.
	ExecutorMemory bytesize.Value
	Library        string // empty: beside the program

	Tolerance     float64
	MaxIterations int
	Iterations    int // exactly; 0: until the tolerance is reached

	Compare bool
	Verify  Verify
	Output  string // file of the solution, empty for none
	Report  Report
	Trace   string // file of the timeline, empty for none
}

// Report is the form of the report.
type Report string

// Forms of the report.
const (
	Table Report = "table"
	JSON  Report = "json"
)

// Verify says whether the solution is compared with a direct one.
type Verify int

// Verify's values.
const (
	VerifyIfSmall Verify = iota // up to VerifiedSize
	VerifyAlways
	VerifyNever
)

// VerifiedSize is the largest system that is verified without being asked to: the direct solution
// takes a few seconds. MaxSize is where matrices' bytes no longer count in 64 bits.
const (
	VerifiedSize = 2500
	MaxSize      = 1 << 29
	MaxExecutors = 1024
)

// MinTolerance is about what 64-bit numbers can reach.
const MinTolerance = 1e-14

// Verifies tells whether the run ends with a verification.
func (o *Options) Verifies() bool {
	return o.Verify == VerifyAlways || o.Verify == VerifyIfSmall && o.Size <= VerifiedSize && o.Iterations == 0
}

// Limit is the number of iterations after which a run ends at the latest.
func (o *Options) Limit() int {
	if o.Iterations > 0 {
		return o.Iterations
	}
	return o.MaxIterations
}

// ErrHelp is returned by Parse for --help.
var ErrHelp = pflag.ErrHelp

// Parse reads the arguments behind the program's name. Errors other than ErrHelp say in one line
// what is wrong with them.
func Parse(args []string) (Options, error) {
	var o Options
	var report string
	var verify bool
	flags := flagSet(&o, &report, &verify)
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, pflag.ErrHelp) {
			return o, ErrHelp
		}
		return o, err
	}
	o.Report = Report(report)
	if flags.Changed("verify") {
		o.Verify = VerifyNever
		if verify {
			o.Verify = VerifyAlways
		}
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("%q is no option of this program, which takes no other arguments", flags.Arg(0))
	}
	err := o.check(flags)
	return o, err
}

func (o *Options) check(flags *pflag.FlagSet) error {
	switch {
	case o.Size < 1 || o.Size > MaxSize:
		return fmt.Errorf("--size %d: a system has 1 to %d unknowns", o.Size, MaxSize)
	case o.Matrix != "" && (flags.Changed("size") || flags.Changed("seed") || flags.Changed("dominance")):
		return errors.New("--matrix with --size, --seed or --dominance: a system is read or generated; choose one")
	case o.Matrix == "" && (flags.Changed("matrix") || o.RHS != ""):
		return errors.New("--rhs without --matrix, or an empty name: a right-hand side needs the matrix that it belongs to")
	case o.Executors < 0 || o.Executors > MaxExecutors || o.Executors == 0 && !o.Offload.None():
		return fmt.Errorf("--executors %d: 1 to %d per rank; --offload 0 runs without any", o.Executors, MaxExecutors)
	case !(o.Dominance > 0 && o.Dominance <= 1e6):
		return fmt.Errorf("--dominance %v: it is above 0 and at most 1e6", o.Dominance)
	case !(o.Tolerance >= MinTolerance && o.Tolerance < 1):
		return fmt.Errorf("--tolerance %v: it lies between %v, which 64-bit numbers can just reach, and 1", o.Tolerance, MinTolerance)
	case o.MaxIterations < 1:
		return fmt.Errorf("--max-iterations %d: at least 1", o.MaxIterations)
	case flags.Changed("iterations") && o.Iterations < 1:
		return fmt.Errorf("--iterations %d: at least 1", o.Iterations)
	case flags.Changed("iterations") && flags.Changed("max-iterations"):
		return errors.New("--iterations and --max-iterations: the one is the exact number, the other a limit; choose one")
	case o.Report != Table && o.Report != JSON:
		return fmt.Errorf("--report %s: there are table and json", o.Report)
	case o.Compare && o.Offload.None():
		return errors.New("--compare with --offload 0: there is nothing to compare; offload some rows")
	}
	return nil
}

func flagSet(o *Options, report *string, verify *bool) *pflag.FlagSet {
	flags := pflag.NewFlagSet("jacobi", pflag.ContinueOnError)
	flags.SortFlags = false
	flags.SetOutput(io.Discard)
	flags.Usage = func() {}
	flags.IntVar(&o.Size, "size", 1000, "number of unknowns `N`")
	flags.Uint64Var(&o.Seed, "seed", 1, "`number` that the system is generated from")
	flags.Float64Var(&o.Dominance, "dominance", 1.1, "`factor` by which the diagonal outweighs the rest of its row; each iteration shrinks the error by about that, and up to 1 it converges slowly or never")
	flags.StringVar(&o.Matrix, "matrix", "", "read the matrix from this `file`, in MatrixMarket's coordinate format (kept sparse) or array format, instead of generating a system")
	flags.StringVar(&o.RHS, "rhs", "", "read the right-hand side from this `file` (default with --matrix: the sum of each row, so that the solution is all ones)")
	o.Offload = share.Share{Percent: 50}
	flags.Var(&o.Offload, "offload", "`share` of each rank's rows that its executors compute: a number of percent, or auto, for the one by which rank and executors are done at the same time, and for none where that takes longer")
	flags.IntVar(&o.Executors, "executors", 1, "`number` of executors that each rank leases")
	flags.Var(&o.ExecutorMemory, "executor-memory", "`size` of the memory that each executor may use, as in 4G: for the rows and vectors that it gets, and as much again for its functions; 0: an equal share of its node's for each core")
	flags.StringVar(&o.Library, "library", "", "`path` of the executors' function library (default: libjacobi.so beside this program, or in ../lib/sublet from there)")
	flags.Float64Var(&o.Tolerance, "tolerance", 1e-10, "`residual` max|b-Ax| / max|b| to be reached")
	flags.IntVar(&o.MaxIterations, "max-iterations", 10000, "give up after this `number` of iterations")
	flags.IntVar(&o.Iterations, "iterations", 0, "do exactly this `number` of iterations, for timing")
	flags.BoolVar(&o.Compare, "compare", false, "solve without executors as well, and report the speed-up")
	flags.BoolVar(verify, "verify", false, fmt.Sprintf("compare with gonum's direct solution, which takes about N³ operations (default: up to N = %d, unless --iterations is given); --verify=false never does", VerifiedSize))
	flags.StringVar(&o.Output, "output", "", "write the solution to this `file`, in MatrixMarket's array format")
	flags.StringVar(&o.Trace, "trace", "", "write who computed which rows when to this `file`, in Chrome's trace format, for the last thousands of iterations; with several ranks to one for each, FILE.RANK")
	flags.StringVar(report, "report", string(Table), "`form` of the report on standard output: table or json")
	return flags
}

// Help is the text of --help.
func Help() string {
	var o Options
	var report string
	var verify bool
	var b strings.Builder
	b.WriteString(`Solves a system of linear equations by the Jacobi method: one that is generated, dense and diagonally
dominant, or one from MatrixMarket files.
The rows are divided among the ranks; each rank has executors compute part of its own.

Usage: mpirun -n RANKS jacobi [options]

`)
	b.WriteString(flagSet(&o, &report, &verify).FlagUsagesWrapped(100))
	b.WriteString(`
Examples:
  mpirun -n 1 jacobi --size 2000 --compare           half of the rows on one executor; is it faster?
  mpirun -n 1 jacobi --size 4000 --offload auto      as many rows on it as pays
  mpirun -n 3 jacobi --size 4000 --executors 2       two executors for each of three ranks
  mpirun -n 2 jacobi --matrix A.mtx --rhs b.mtx --output x.mtx    a system from files
  mpirun -n 2 jacobi --offload 0 --report json       no executors; a report for programs
  mpirun -n 1 jacobi --size 4000 --iterations 500    as many iterations as that, for timing

Environment:
  SUBLET_TRANSPORT, SUBLET_PROVIDER    how executors are reached: ring or ofi, and libfabric's provider
  SUBLET_BIN                           the directory of sublet and sublet-executor

Exit status: 0 solved; 1 failed, or not converged, or wrong; 2 wrong usage.
`)
	return b.String()
}
