package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"github.com/sublet-hpc/sublet/bench/stats"
	"github.com/sublet-hpc/sublet/cmd/internal/setup"
	"github.com/sublet-hpc/sublet/config"
	"github.com/sublet-hpc/sublet/offload"
	"github.com/sublet-hpc/sublet/resources/api"
)

// benchmarker has the flags that rFaaS's warm_benchmarker, cold_benchmarker and parallel_invocations
// share, and what their files say.
type benchmarker struct {
	command                                          string
	path, devices, executors, functions, name, stats string
	size                                             int
	verbose                                          bool
	settings                                         config.Benchmark
}

// declare declares the flags.
func (b *benchmarker) declare(flags *pflag.FlagSet) {
	flags.StringVarP(&b.path, "config", "c", "", "the `FILE` that sets it up: rFaaS's benchmark.json (default: its defaults)")
	flags.StringVar(&b.devices, "device-database", "", "the `FILE` with the device that --config names: devices.json")
	flags.StringVar(&b.executors, "executors-database", "", "the `FILE` that names the executor managers to lease from, without a resource manager")
	flags.StringVar(&b.name, "name", "", "the `FUNCTION` to call")
	flags.StringVar(&b.functions, "functions", "", "the `FILE` of the function library")
	flags.IntVarP(&b.size, "size", "s", 1, "the payload, in `BYTES`")
	flags.StringVar(&b.stats, "output-stats", "", "the `FILE` to write the samples to")
	flags.BoolVarP(&b.verbose, "verbose", "v", false, "say on standard error what is done")
}

// maxPayload is the largest that -s can be.
const maxPayload = 1 << 30

func (b *benchmarker) read(args []string) error {
	switch {
	case len(args) > 0:
		return usagef("%s: unexpected argument %q; see: sublet-bench help %s", b.command, args[0], b.command)
	case b.name == "":
		return usagef("%s: which function? --name FUNCTION", b.command)
	case b.functions == "":
		return usagef("%s: the library that has %s? --functions PATH", b.command, b.name)
	case b.size < 1 || b.size > maxPayload:
		return usagef("%s: -s %d: a payload has 1 to %d bytes", b.command, b.size, maxPayload)
	}
	parse := config.ParseBenchmark
	if b.path == "" {
		var err error
		b.settings, err = parse("defaults", []byte(`{"config": {}, "benchmark": {}}`))
		return err
	}
	var err error
	b.settings, err = config.Read(b.path, parse)
	return err
}

// prepare chooses the way to executors, and who grants them.
func (b *benchmarker) prepare(say func(string, ...any)) error {
	if b.settings.Device != "" || b.devices != "" {
		device, err := setup.Device(b.devices, b.settings.Device)
		if err != nil {
			return fmt.Errorf("%s: %w", b.command, err)
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
	if b.hasDatabase() || b.settings.ResourceManagerAddress == "" {
		return nil
	}
	directory, err := api.Directory()
	if err != nil {
		return err
	}
	access, err := api.ReadAccess(directory)
	if err != nil {
		return fmt.Errorf("%s: %s names a resource manager, and how to talk to it is in its run directory: %w", b.command, b.path, err)
	}
	return setup.CheckResourceManager(b.path, b.settings.ResourceManagerAddress, b.settings.ResourceManagerPort, access)
}

// hasDatabase tells whether an executors database says who grants executors.
func (b *benchmarker) hasDatabase() bool {
	return b.executors != "" || os.Getenv(offload.DatabaseVariable) != ""
}

// hasOwnCores tells whether executors come from this node's own cores, which they may share. Those of a
// resource manager, or of a database, are others' as well, who would be slowed down.
func (b *benchmarker) hasOwnCores() bool {
	if b.hasDatabase() {
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
func (b *benchmarker) want() (offload.Want, error) {
	library, err := filepath.Abs(b.functions)
	want := offload.Want{Executors: b.settings.Cores, Library: library, Oversubscribe: b.hasOwnCores()}
	switch {
	case b.settings.HotTimeout < 0:
		want.HotTimeout = offload.AlwaysHot
	case b.settings.HotTimeout == 0:
		want.HotTimeout = offload.NeverHot
	default:
		want.HotTimeout = time.Duration(b.settings.HotTimeout) * time.Millisecond
	}
	if b.settings.Memory > 0 {
		want.Memory = int64(b.settings.Memory) << 20 / int64(b.settings.Cores)
		if want.Memory < offload.MinMemory {
			return want, fmt.Errorf("%s: %s: benchmark.memory is %d MB for %d executors; each needs %d MB", b.command, b.path, b.settings.Memory, b.settings.Cores, offload.MinMemory>>20)
		}
	}
	return want, err
}

// open prepares all that comes before a lease.
func (b *benchmarker) open(ctx context.Context, stderr *os.File) (*offload.Session, offload.Want, error) {
	if err := b.prepare(func(format string, args ...any) { b.say(stderr, format, args...) }); err != nil {
		return nil, offload.Want{}, err
	}
	want, err := b.want()
	if err != nil {
		return nil, want, err
	}
	var choices []offload.Option
	if b.executors != "" {
		choices = append(choices, offload.FromExecutorsDatabase(b.executors))
	}
	session, err := offload.Connect(ctx, choices...)
	return session, want, err
}

// say is for who wants to know what is done.
func (b *benchmarker) say(stderr *os.File, format string, args ...any) {
	if b.verbose {
		fmt.Fprintf(stderr, "sublet-bench: "+b.command+": "+format+"\n", args...)
	}
}

// introduce says what is known of a lease, and warns of what disturbs.
func (b *benchmarker) introduce(lease *offload.Lease, stderr *os.File) {
	b.say(stderr, "%d executors, the first on %s", len(lease.Executors()), lease.Executors()[0].Node())
	if shared := count(lease.Executors(), (*offload.Executor).Oversubscribed); shared > 0 {
		fmt.Fprintf(stderr, "sublet-bench: %s: %d of %d executors share a core with something else, which disturbs what is measured\n", b.command, shared, len(lease.Executors()))
	}
}

func count(executors []*offload.Executor, is func(*offload.Executor) bool) (n int) {
	for _, e := range executors {
		if is(e) {
			n++
		}
	}
	return n
}

// pin binds the calling thread to the first core that pin_threads allows.
func (b *benchmarker) pin() (unpin func(), err error) {
	if !b.settings.PinThreads.Pin {
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
	if cores := b.settings.PinThreads.Cores; len(cores) > 0 {
		core = cores[0]
	}
	after.Set(core)
	if err := unix.SchedSetaffinity(0, &after); err != nil {
		return nil, fmt.Errorf("%s: %s: benchmark.pin_threads: binding to core %d: %w", b.command, b.path, core, err)
	}
	return func() {
		_ = unix.SchedSetaffinity(0, &before)
		runtime.UnlockOSThread()
	}, nil
}

// payload is what a function is called with, on some executors at once.
type payload struct {
	in      *offload.Buffer[byte]
	outs    []*offload.Buffer[byte]
	futures []offload.Future
}

func (b *benchmarker) newPayload(session *offload.Session, executors int) *payload {
	p := &payload{in: offload.Alloc[byte](session, b.size), outs: make([]*offload.Buffer[byte], executors), futures: make([]offload.Future, executors)}
	p.in.Slice()[0] = 1
	for i := range p.outs {
		p.outs[i] = offload.Alloc[byte](session, b.size)
	}
	return p
}

// call calls a function on all of the executors, and returns how many bytes the last one's answer has.
func (p *payload) call(ctx context.Context, executors []*offload.Executor, function string) (size int, err error) {
	for i, executor := range executors {
		p.futures[i] = executor.Invoke(ctx, function, p.in, p.outs[i])
	}
	for _, future := range p.futures {
		n, failed := future.Wait(ctx)
		size, err = n, cmp.Or(err, failed)
	}
	return size, err
}

// data is the first bytes of the last one's answer, up to 4, the least first.
func (p *payload) data(size int) (data uint32) {
	for i, b := range p.outs[len(p.outs)-1].Slice()[:min(size, 4)] {
		data |= uint32(b) << (8 * i)
	}
	return data
}

func summarize(samples []int64) (average float64, median int64) {
	for _, sample := range samples {
		average += float64(sample) / float64(len(samples))
	}
	return average, stats.Median(slices.Sorted(slices.Values(samples)))
}

// keep writes the samples, if they are wanted.
func (b *benchmarker) keep(table []byte) error {
	if b.stats == "" {
		return nil
	}
	return os.WriteFile(b.stats, table, 0o644)
}
