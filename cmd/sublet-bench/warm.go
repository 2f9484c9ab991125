package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"github.com/sublet-hpc/sublet/bench/stats"
	"github.com/sublet-hpc/sublet/cmd/internal/output"
	"github.com/sublet-hpc/sublet/cmd/internal/setup"
	"github.com/sublet-hpc/sublet/config"
	"github.com/sublet-hpc/sublet/offload"
	"github.com/sublet-hpc/sublet/resources/api"
)

// warm are the flags of rFaaS's warm_benchmarker and parallel_invocations, and what their files say.
type warm struct {
	command                                          string
	all                                              bool // executors are called at once; else the first alone
	path, devices, executors, functions, name, stats string
	size                                             int
	verbose                                          bool
	format                                           output.Format
	settings                                         config.Benchmark
}

func warmCommand() *command {
	return &command{
		name: "warm", synopsis: "--name FUNCTION --functions PATH", summary: "round trips of any function, set up by rFaaS's benchmark.json",
		details: `
What rFaaS's warm_benchmarker does, with its flags and its file. benchmark.json says how many executors are
leased (numcores) with how much memory together, how often the function is called (repetitions, after
warmup_repetitions), and for how long executors stay hot (hot_timeout). The first executor is called, one
invocation after the other. rdma_device, if it is an RDMA device of --device-database, is the way to
executors on other hosts; without one it is the best that there is.

Executors come from the managers of --executors-database (else SUBLET_EXECUTORS_DATABASE), and without it
from the resource manager of the run directory, or from this node's own cores, which alone they may share.

--output json prints one object: function, payload_bytes, repetitions, executors, average_ns, median_ns, data, node,
transport, provider. --output quiet prints the median, in nanoseconds. --output-stats writes one line for
each repetition.`,
		examples: []string{
			"sublet-bench warm --config benchmark.json --device-database devices.json --name empty --functions bin/libfunctions.so --executors-database executors_database.json -s 1",
			"sublet-bench warm --name empty --functions bin/libfunctions.so -s 1024 --output-stats samples.csv",
		},
		setUp: (&warm{command: "warm"}).setUp,
	}
}

func parallelCommand() *command {
	return &command{
		name: "parallel", synopsis: "--name FUNCTION --functions PATH", summary: "as warm, on all executors of the lease at once",
		details: `
What rFaaS's parallel_invocations does, with its flags and its file, which are those of warm. In each
repetition all executors (numcores) are called at once; its time is until the last has answered.

Flags, files and what is printed are those of sublet-bench warm; executors says how many there are, and
node, transport and provider are the first one's.`,
		examples: []string{
			"sublet-bench parallel --config benchmark.json --device-database devices.json --name empty --functions bin/libfunctions.so --executors-database executors_database.json -s 1024",
		},
		setUp: (&warm{command: "parallel", all: true}).setUp,
	}
}

// setUp declares the flags.
func (w *warm) setUp(flags *pflag.FlagSet) runFunc {
	w.format = output.Table
	flags.StringVarP(&w.path, "config", "c", "", "the `FILE` that sets it up: rFaaS's benchmark.json (default: its defaults)")
	flags.StringVar(&w.devices, "device-database", "", "the `FILE` with the device that --config names: devices.json")
	flags.StringVar(&w.executors, "executors-database", "", "the `FILE` that names the executor managers to lease from, without a resource manager")
	flags.StringVar(&w.name, "name", "", "the `FUNCTION` to call")
	flags.StringVar(&w.functions, "functions", "", "the `FILE` of the function library")
	flags.IntVarP(&w.size, "size", "s", 1, "the payload, in `BYTES`")
	flags.StringVar(&w.stats, "output-stats", "", "the `FILE` to write the samples to")
	flags.BoolVarP(&w.verbose, "verbose", "v", false, "say on standard error what is done")
	flags.Var(&w.format, "output", "how to print: table, json or quiet")
	return func(ctx context.Context, args []string, stdout io.Writer, stderr *os.File) error {
		if err := w.read(args); err != nil {
			return err
		}
		return w.run(ctx, stdout, stderr)
	}
}

// maxWarmPayload is the largest that -s can be.
const maxWarmPayload = 1 << 30

func (w *warm) read(args []string) error {
	switch {
	case len(args) > 0:
		return usagef("%s: unexpected argument %q; see: sublet-bench help %s", w.command, args[0], w.command)
	case w.name == "":
		return usagef("%s: which function? --name FUNCTION", w.command)
	case w.functions == "":
		return usagef("%s: the library that has %s? --functions PATH", w.command, w.name)
	case w.size < 1 || w.size > maxWarmPayload:
		return usagef("%s: -s %d: a payload has 1 to %d bytes", w.command, w.size, maxWarmPayload)
	}
	parse := config.ParseBenchmark
	if w.path == "" {
		var err error
		w.settings, err = parse("defaults", []byte(`{"config": {}, "benchmark": {}}`))
		return err
	}
	var err error
	w.settings, err = config.Read(w.path, parse)
	return err
}

// prepare chooses the way to executors, and who grants them.
func (w *warm) prepare(say func(string, ...any)) error {
	if w.settings.Device != "" || w.devices != "" {
		device, err := setup.Device(w.devices, w.settings.Device)
		if err != nil {
			return fmt.Errorf("%s: %w", w.command, err)
		}
		provider := setup.Provider(device)
		say("device %s, provider %s", device.Name, provider)
		if provider != "" && os.Getenv("SUBLET_PROVIDER") == "" && os.Getenv("SUBLET_TRANSPORT") == "" {
			if _, err := setup.UseDevice(device); err != nil {
				return err
			}
			if err := os.Setenv("SUBLET_PROVIDER", provider); err != nil {
				return err
			}
		}
	}
	if w.hasDatabase() || w.settings.ResourceManagerAddress == "" {
		return nil
	}
	directory, err := api.Directory()
	if err != nil {
		return err
	}
	access, err := api.ReadAccess(directory)
	if err != nil {
		return fmt.Errorf("%s: %s names a resource manager, and how to talk to it is in its run directory: %w", w.command, w.path, err)
	}
	return setup.CheckResourceManager(w.path, w.settings.ResourceManagerAddress, w.settings.ResourceManagerPort, access)
}

// hasDatabase tells whether an executors database says who grants executors.
func (w *warm) hasDatabase() bool {
	return w.executors != "" || os.Getenv(offload.DatabaseVariable) != ""
}

// hasOwnCores tells whether executors come from this node's own cores, which they may share. Those of a
// resource manager, or of a database, are others' as well, who would be slowed down.
func (w *warm) hasOwnCores() bool {
	if w.hasDatabase() {
		return false
	}
	directory, err := api.Directory()
	if err != nil {
		return false // and there will be no lease either
	}
	_, err = api.ReadAccess(directory)
	return errors.Is(err, api.ErrNoResourceManager)
}

// want is the lease that the file asks for.
func (w *warm) want() (offload.Want, error) {
	library, err := filepath.Abs(w.functions)
	want := offload.Want{Executors: w.settings.Cores, Library: library, Oversubscribe: w.hasOwnCores()}
	switch {
	case w.settings.HotTimeout < 0:
		want.HotTimeout = offload.AlwaysHot
	case w.settings.HotTimeout == 0:
		want.HotTimeout = offload.NeverHot
	default:
		want.HotTimeout = time.Duration(w.settings.HotTimeout) * time.Millisecond
	}
	if w.settings.Memory > 0 {
		want.Memory = int64(w.settings.Memory) << 20 / int64(w.settings.Cores)
		if want.Memory < offload.MinMemory {
			return want, fmt.Errorf("%s: %s: benchmark.memory is %d MB for %d executors; each needs %d MB", w.command, w.path, w.settings.Memory, w.settings.Cores, offload.MinMemory>>20)
		}
	}
	return want, err
}

// warmResult is what --output json prints.
type warmResult struct {
	Function    string  `json:"function"`
	Payload     int     `json:"payload_bytes"`
	Repetitions int     `json:"repetitions"`
	Executors   int     `json:"executors"` // that are called
	Average     float64 `json:"average_ns"`
	Median      int64   `json:"median_ns"`
	Data        uint32  `json:"data"` // the output's first bytes, up to 4, the least first
	Node        string  `json:"node"`
	Transport   string  `json:"transport"`
	Provider    string  `json:"provider"`
}

func (w *warm) run(ctx context.Context, stdout io.Writer, stderr *os.File) (err error) {
	say := func(format string, args ...any) {
		if w.verbose {
			fmt.Fprintf(stderr, "sublet-bench: "+w.command+": "+format+"\n", args...)
		}
	}
	if err := w.prepare(say); err != nil {
		return err
	}
	want, err := w.want()
	if err != nil {
		return err
	}
	var choices []offload.Option
	if w.executors != "" {
		choices = append(choices, offload.FromExecutorsDatabase(w.executors))
	}
	session, err := offload.Connect(ctx, choices...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, session.Close()) }()
	lease, err := session.Lease(ctx, want)
	if err != nil {
		return err
	}
	say("%d executors, the first on %s", len(lease.Executors()), lease.Executors()[0].Node())
	if shared := count(lease.Executors(), (*offload.Executor).Oversubscribed); shared > 0 {
		fmt.Fprintf(stderr, "sublet-bench: %s: %d of %d executors share a core with something else, which disturbs what is measured\n", w.command, shared, len(lease.Executors()))
	}
	result, samples, err := w.measure(ctx, session, lease)
	if err != nil {
		return err
	}
	if err := w.keep(samples); err != nil {
		return err
	}
	return result.write(stdout, w.format)
}

// measure calls the function, and keeps the times.
func (w *warm) measure(ctx context.Context, session *offload.Session, lease *offload.Lease) (r warmResult, samples []int64, err error) {
	unpin, err := w.pin()
	if err != nil {
		return r, nil, err
	}
	defer unpin()
	called := lease.Executors()
	if !w.all {
		called = called[:1]
	}
	in := offload.Alloc[byte](session, w.size)
	in.Slice()[0] = 1
	outs := make([]*offload.Buffer[byte], len(called))
	for i := range outs {
		outs[i] = offload.Alloc[byte](session, w.size)
	}
	futures := make([]offload.Future, len(called))
	call := func() (size int, err error) {
		for i, executor := range called {
			futures[i] = executor.Invoke(ctx, w.name, in, outs[i])
		}
		for _, future := range futures {
			n, failed := future.Wait(ctx)
			size, err = n, cmp.Or(err, failed)
		}
		return size, err
	}
	for range w.settings.WarmupRepetitions {
		if _, err := call(); err != nil {
			return r, nil, err
		}
	}
	size := 0
	samples = make([]int64, w.settings.Repetitions)
	for i := range samples {
		began := time.Now()
		if size, err = call(); err != nil {
			return r, nil, err
		}
		samples[i] = time.Since(began).Nanoseconds()
	}
	path := called[0].Path()
	r = warmResult{Function: w.name, Payload: w.size, Repetitions: len(samples), Executors: len(called), Node: called[0].Node(), Transport: path.Transport, Provider: path.Provider}
	for _, sample := range samples {
		r.Average += float64(sample) / float64(len(samples))
	}
	r.Median = stats.Median(slices.Sorted(slices.Values(samples)))
	for i, b := range outs[len(outs)-1].Slice()[:min(size, 4)] {
		r.Data |= uint32(b) << (8 * i)
	}
	return r, samples, nil
}

// pin binds the calling thread to the first core that pin_threads allows.
func (w *warm) pin() (unpin func(), err error) {
	if !w.settings.PinThreads.Pin {
		return func() {}, nil
	}
	var before, after unix.CPUSet
	runtime.LockOSThread()
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return nil, err
	}
	core := 0
	for !before.IsSet(core) {
		core++
	}
	if cores := w.settings.PinThreads.Cores; len(cores) > 0 {
		core = cores[0]
	}
	after.Set(core)
	if err := unix.SchedSetaffinity(0, &after); err != nil {
		return nil, fmt.Errorf("%s: %s: benchmark.pin_threads: binding to core %d: %w", w.command, w.path, core, err)
	}
	return func() {
		_ = unix.SchedSetaffinity(0, &before)
		runtime.UnlockOSThread()
	}, nil
}

func count(executors []*offload.Executor, is func(*offload.Executor) bool) (n int) {
	for _, e := range executors {
		if is(e) {
			n++
		}
	}
	return n
}

// keep writes the samples.
func (w *warm) keep(samples []int64) error {
	if w.stats == "" {
		return nil
	}
	text := bytes.NewBufferString("repetition,round_trip_ns\n")
	for i, sample := range samples {
		fmt.Fprintf(text, "%d,%d\n", i, sample)
	}
	return os.WriteFile(w.stats, text.Bytes(), 0o644)
}

func (r *warmResult) write(w io.Writer, format output.Format) error {
	var err error
	switch format {
	case output.JSON:
		err = output.WriteJSON(w, r)
	case output.Quiet:
		_, err = fmt.Fprintln(w, r.Median)
	default:
		// rFaaS's line, which scripts look for.
		_, err = fmt.Fprintf(w, "Executed %d repetitions, avg %.3f usec/iter, median %.3f\nexecutor     on %s, transport %s, provider %s\ndata         %d\n",
			r.Repetitions, r.Average/1000, float64(r.Median)/1000, r.Node, r.Transport, r.Provider, r.Data)
	}
	return err
}
