package options

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/sublet-hpc/sublet/cmd/internal/output"
	"github.com/sublet-hpc/sublet/internal/bytesize"
)

// Program does what sublet invoke was asked for.
const Program = "sublet-invoke"

// Options are what was asked for.
type Options struct {
	Function  string
	Library   string
	Directory string // empty: SUBLET_DIR, else ~/.sublet/current
	Transport string // empty: as SUBLET_TRANSPORT says
	Database  string // executors database; empty: as SUBLET_EXECUTORS_DATABASE says

	In      string         // file, Standard, or empty for no input
	Out     string         // file, Standard, or empty for nowhere
	OutSize bytesize.Value // 0: the larger of DefaultOutSize and the input

	Repeat    int
	Executors int
	Cores     int      // of each executor
	Timeout   Duration // of each invocation, 0 for none
	Wait      Duration // for cores
	TimeLimit Duration // of the lease, 0 for none

	Placement     string // pack or spread; empty: pack
	Oversubscribe Choice
	Output        output.Format

	flags *pflag.FlagSet
}

// Choice is a yes or no that nobody may have made.
type Choice int

// Choice's values.
const (
	Unsaid Choice = iota
	Yes
	No
)

const (
	// Standard is the name of standard input and output.
	Standard = "-"
	// DefaultOutSize is what an output can have, in bytes, where neither --out-size nor a larger
	// input says more.
	DefaultOutSize = 64 << 10
	// MaxRepeat is how many samples are kept without a thought: 160 MB of them.
	MaxRepeat = 10_000_000
	// MaxExecutors is more than a lease can have on any machine of today.
	MaxExecutors = 10_000
	// MaxCores is what one executor can have at most (api.MaxCoresPerExecutor), more than a node of today has.
	MaxCores = 4096
)

// Transports are what --transport can name.
var Transports = []string{"ring", "ofi", "ofi-write", "ofi-send"}

// Placements are those that --placement can name.
var Placements = []string{"pack", "spread"}

// Declare declares the flags. What it returns is filled by Read.
func Declare(flags *pflag.FlagSet) *Options {
	o := &Options{flags: flags}
	flags.StringVarP(&o.Library, "library", "l", "", "`PATH` of the function library")
	flags.StringVar(&o.In, "in", "", "`FILE` to read the input from, - for standard input (default: no input)")
	flags.StringVar(&o.Out, "out", "", "`FILE` to write the output to, - for standard output; a failed run leaves it as it was (default: nowhere)")
	flags.Var(&o.OutSize, "out-size", "`BYTES` that the output can have: 4096, 4K, 16MiB (default: the input's size, at least 64KiB)")
	flags.IntVar(&o.Repeat, "repeat", 1, "invoke it `N` times, with the same input")
	flags.IntVar(&o.Executors, "executors", 1, "lease `N` executors; each has one invocation at a time")
	flags.IntVar(&o.Cores, "cores-per-executor", 1, "give each executor `N` cores of one node, for functions that start threads of their own")
	flags.StringVar(&o.Transport, "transport", "", "`NAME` of the way to the executors: "+strings.Join(Transports, ", ")+" (default $SUBLET_TRANSPORT, else the best)")
	flags.Var(&o.Timeout, "timeout", "`TIME` after which an invocation is ended, with its executor: 30s, 00:10:00 (default: never)")
	flags.Var(&o.Wait, "wait", "`TIME` to wait for cores that others have (default: not at all)")
	flags.Var(&o.TimeLimit, "time-limit", "`TIME` after which the lease ends, and its executors with it: 1h, 01:30:00 (default: when all is done)")
	flags.Bool("oversubscribe", false, "take executors that share cores where there are no free ones (default: on this node's own cores yes, unless --wait is given; of a resource manager no)")
	flags.StringVar(&o.Placement, "placement", "", "`HOW` to divide executors between nodes: pack, on as few as will do, or spread, evenly on as many as will do (default pack)")
	flags.StringVar(&o.Directory, "dir", "", "the run `DIR`ectory (default $SUBLET_DIR, else ~/.sublet/current; without a resource manager there: this node's own cores)")
	flags.StringVar(&o.Database, "executors-database", "", "the `FILE` that names the executor managers to lease from, without a resource manager (default $SUBLET_EXECUTORS_DATABASE, else none)")
	o.Output = output.Table
	flags.VarP(&o.Output, "output", "o", "how to print: table, json or quiet")
	flags.Lookup("out-size").DefValue, flags.Lookup("timeout").DefValue, flags.Lookup("wait").DefValue = "", "", ""
	flags.Lookup("time-limit").DefValue = ""
	return o
}

// Read checks what was parsed, with the arguments that are no flags. An error says in one line what is wrong.
func (o *Options) Read(args []string) error {
	switch {
	case len(args) == 0:
		return errors.New("which function?")
	case len(args) > 1:
		return fmt.Errorf("unexpected argument %q; one function at a time", args[1])
	case args[0] == "":
		return errors.New("a function has a name")
	}
	o.Function = args[0]
	if o.flags.Changed("oversubscribe") {
		o.Oversubscribe = No
		if yes, _ := o.flags.GetBool("oversubscribe"); yes {
			o.Oversubscribe = Yes
		}
	}
	return o.check()
}

func (o *Options) check() error {
	for _, name := range []string{"in", "out", "dir", "transport", "placement", "executors-database"} {
		if o.flags.Changed(name) && o.flags.Lookup(name).Value.String() == "" {
			return fmt.Errorf("--%s is empty; leave it out, or name something", name)
		}
	}
	switch {
	case o.Directory != "" && o.Database != "":
		return errors.New("--dir is for leases of a resource manager, --executors-database for those without; leave one out")
	case o.Library == "":
		return fmt.Errorf("the library that has %s? --library PATH", o.Function)
	case o.Repeat < 1 || o.Repeat > MaxRepeat:
		return fmt.Errorf("--repeat %d: 1 to %d times", o.Repeat, MaxRepeat)
	case o.Executors < 1 || o.Executors > MaxExecutors:
		return fmt.Errorf("--executors %d: 1 to %d", o.Executors, MaxExecutors)
	case o.Cores < 1 || o.Cores > MaxCores:
		return fmt.Errorf("--cores-per-executor %d: 1 to %d", o.Cores, MaxCores)
	case o.Cores > 1 && o.Oversubscribe == Yes:
		return errors.New("--cores-per-executor with --oversubscribe: threads that share their cores with others hold each other up; choose one")
	case o.flags.Changed("out-size") && o.OutSize == 0 && o.Out != "":
		return errors.New("--out-size 0 with --out: there would be nothing to write; leave one of them out")
	case o.flags.Changed("timeout") && o.Timeout == 0:
		return errors.New("--timeout 0: no function is that fast; leave it out for no limit")
	case o.flags.Changed("time-limit") && o.TimeLimit == 0:
		return errors.New("--time-limit 0: the lease would be over before it began; leave it out for no limit")
	case o.Transport != "" && !slices.Contains(Transports, o.Transport):
		return fmt.Errorf("--transport %s: there are %s", o.Transport, strings.Join(Transports, ", "))
	case o.Placement != "" && !slices.Contains(Placements, o.Placement):
		return fmt.Errorf("--placement %s: there are %s", o.Placement, strings.Join(Placements, ", "))
	case o.Oversubscribe == Yes && o.Wait > 0:
		return errors.New("--wait with --oversubscribe: cores that are shared need no waiting; choose one")
	}
	return nil
}

// Capacity is how many bytes the output can have, for an input of that size.
func (o *Options) Capacity(input int) int {
	if o.flags.Changed("out-size") {
		return int(o.OutSize)
	}
	return max(input, DefaultOutSize)
}

// Arguments are a command line that says the same.
func (o *Options) Arguments() []string {
	var args []string
	o.flags.Visit(func(flag *pflag.Flag) { args = append(args, "--"+flag.Name+"="+flag.Value.String()) })
	return append(args, "--", o.Function)
}

// Deadline is what ends one invocation, in words.
func (o *Options) Deadline() string { return "--timeout " + time.Duration(o.Timeout).String() }
