package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/sublet-hpc/sublet/bench"
	"github.com/sublet-hpc/sublet/cmd/internal/output"
	"github.com/sublet-hpc/sublet/offload"
)

// cold is rFaaS's cold_benchmarker.
type cold struct {
	benchmarker
	cores int           // of each lease; 0: as many as the file says
	pause time.Duration // after each repetition
}

func coldCommand() *command {
	return &command{
		name: "cold", synopsis: "[--name FUNCTION --functions PATH]", summary: "from nothing to a first result, in its phases",
		details: `
Each repetition is a new session, a new lease and a first result of each executor. With --clients
several come at once, and the time until the last one is ready is reported as well. More executors
than cores share these, which the report says.

With --name and --functions it does what rFaaS's cold_benchmarker does, with its flags and its file, which
are those of sublet-bench warm: in each repetition a lease of numcores executors, which all call the function
once. The time is from asking for the lease until the last has answered. The session is opened once, and
executors are given back between repetitions. Before each repetition the pool of started executors is given
time to fill, where there is one on this host.

What it prints then is what sublet-bench warm prints, and pooled is how many executors were ready in the pool
before the last repetition. In the file of --output-stats each repetition has lease_ns (until the lease is
granted), first_ns (from then until all have answered), total_ns (both) and release_ns (until the executors
have ended).`,
		examples: []string{
			"sublet-bench cold", "sublet-bench cold --clients 16 --repetitions 10", "sublet-bench cold --transport ofi",
			"sublet-bench cold --config benchmark.json --device-database devices.json --name empty --functions bin/libfunctions.so --executors-database executors_database.json -s 1 --pause 10",
		},
		setUp: setUpCold,
	}
}

// ofMeasurement and ofBenchmarker are the flags that one of the two ways of sublet-bench cold has; the
// others mean the same to both.
var (
	ofMeasurement = []string{"transport", "provider", "repetitions", "warmup", "save", "library", "clients"}
	ofBenchmarker = []string{"name", "functions", "config", "device-database", "executors-database", "size", "output-stats", "verbose", "pause"}
)

func setUpCold(flags *pflag.FlagSet) runFunc {
	m := declare(flags)
	flags.IntVar(&m.options.Clients, "clients", 1, "`N` clients at once")
	flags.IntVar(&m.options.Cores, "cores", 1, "lease `N` executors for each client (default: 1, or what --config says)")
	flags.Lookup("cores").DefValue = "0" // said in words
	flags.Lookup("repetitions").Usage = "`N` times (default: 30)"
	flags.Lookup("warmup").Usage = "`N` times before that are thrown away (default: 1)"
	c := &cold{benchmarker: benchmarker{command: "cold"}}
	c.declare(flags)
	pause := flags.Int("pause", 0, "wait so many `MILLISECONDS` after each repetition")
	return func(ctx context.Context, args []string, stdout io.Writer, stderr *os.File) error {
		chosen := firstChanged(flags, ofBenchmarker)
		if chosen == "" {
			return m.measure(ctx, args, bench.Cold, stdout, stderr)
		}
		if other := firstChanged(flags, ofMeasurement); other != "" {
			return usagef("cold: --%s does not go with --%s, which has it done as rFaaS's cold_benchmarker does; that is set up by benchmark.json (--config)", other, chosen)
		}
		if flags.Changed("cores") {
			c.cores = m.options.Cores
			if c.cores < 1 {
				return usagef("cold: --cores %d: at least 1", c.cores)
			}
		}
		if *pause < 0 || *pause > maxPause {
			return usagef("cold: --pause %d: 0 to %d milliseconds", *pause, maxPause)
		}
		c.pause = time.Duration(*pause) * time.Millisecond
		if err := c.read(args); err != nil {
			return err
		}
		return c.run(ctx, *m.format, stdout, stderr)
	}
}

// maxPause is an hour, in milliseconds.
const maxPause = 60 * 60 * 1000

// firstChanged is the first of these flags that the command line has.
func firstChanged(flags *pflag.FlagSet, names []string) string {
	if i := slices.IndexFunc(names, flags.Changed); i >= 0 {
		return names[i]
	}
	return ""
}

// coldStart are the phases of one repetition.
type coldStart struct{ lease, first, release time.Duration }

func (s coldStart) total() time.Duration { return s.lease + s.first }

func (c *cold) run(ctx context.Context, format output.Format, stdout io.Writer, stderr *os.File) (err error) {
	if c.cores > 0 {
		c.settings.Cores = c.cores
	}
	session, want, err := c.open(ctx, stderr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, session.Close()) }()
	unpin, err := c.pin()
	if err != nil {
		return err
	}
	defer unpin()
	result := coldResult{warmResult: warmResult{Function: c.name, Payload: c.size, Repetitions: c.settings.Repetitions, Executors: want.Executors}}
	load := c.newPayload(session, want.Executors)
	var totals []int64
	table := bytes.NewBufferString("repetition,lease_ns,first_ns,total_ns,release_ns\n")
	for i := -c.settings.WarmupRepetitions; i < c.settings.Repetitions; i++ {
		if result.Pooled, err = session.AwaitPool(ctx, bench.PoolPatience); err != nil {
			return err
		}
		started, err := c.start(ctx, session, want, load, &result, stderr)
		if err != nil {
			return fmt.Errorf("cold: repetition %d: %w", i, err)
		}
		if i >= 0 {
			totals = append(totals, started.total().Nanoseconds())
			fmt.Fprintf(table, "%d,%d,%d,%d,%d\n", i, started.lease.Nanoseconds(), started.first.Nanoseconds(), started.total().Nanoseconds(), started.release.Nanoseconds())
		}
		select {
		case <-time.After(c.pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	result.Average, result.Median = summarize(totals)
	if err := c.keep(table.Bytes()); err != nil {
		return err
	}
	return result.write(stdout, format)
}

// start is one repetition.
func (c *cold) start(ctx context.Context, session *offload.Session, want offload.Want, load *payload, result *coldResult, stderr *os.File) (s coldStart, err error) {
	began := time.Now()
	lease, err := session.Lease(ctx, want)
	if err != nil {
		return s, err
	}
	leased := time.Now()
	executors := lease.Executors()
	size, err := load.call(ctx, executors, c.name)
	answered := time.Now()
	if result.Node == "" {
		c.introduce(lease, stderr)
	}
	path := executors[0].Path()
	result.Node, result.Transport, result.Provider, result.Data = executors[0].Node(), path.Transport, path.Provider, load.data(size)
	releasing := time.Now()
	err = errors.Join(err, lease.Release())
	return coldStart{leased.Sub(began), answered.Sub(leased), time.Since(releasing)}, err
}

// coldResult is what --output json prints.
type coldResult struct {
	warmResult
	Pooled int `json:"pooled"` // executors that were ready in the pool
}

func (r *coldResult) write(w io.Writer, format output.Format) error {
	switch format {
	case output.JSON:
		return output.WriteJSON(w, r)
	case output.Quiet:
		return r.warmResult.write(w, format)
	}
	from := "started anew" + strings.Repeat(" in part", min(r.Pooled, 1))
	if r.Pooled >= r.Executors {
		from = "from the pool"
	}
	if err := r.warmResult.write(w, format); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "executors    %s\n", from)
	return err
}
