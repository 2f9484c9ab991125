package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/sublet-hpc/sublet/bench"
	"github.com/sublet-hpc/sublet/bench/record"
	"github.com/sublet-hpc/sublet/bench/report"
	"github.com/sublet-hpc/sublet/cmd/internal/output"
	"github.com/sublet-hpc/sublet/cmd/sublet-invoke/options"
)

const (
	library  = "libbench.so"
	pingpong = "pingpong"
)

// measurement is the command line that all measurements share.
type measurement struct {
	options bench.Options
	sizes   sizes
	library string
	save    string
	format  *output.Format
	flags   *pflag.FlagSet
}

func declare(flags *pflag.FlagSet) *measurement {
	m := &measurement{flags: flags, options: bench.Options{
		Mode: bench.Hot, InFlight: 1, Warmup: -1, Blocks: bench.DefaultBlocks, Touch: true, Executors: 1, Clients: 1, Cores: 1, Items: 200,
	}}
	o := &m.options
	flags.SortFlags = false
	flags.StringVar(&o.Transport, "transport", "", "`NAME` of the way to the executors: "+strings.Join(options.Transports, ", ")+" (default $SUBLET_TRANSPORT, else the best)")
	flags.StringVar(&o.Provider, "provider", "", "libfabric's `PROVIDER`: tcp, shm, verbs, ... (default $SUBLET_PROVIDER, else tcp)")
	flags.IntVar(&o.Repetitions, "repetitions", 0, "`N` operations of each kind (default: as many as are worth it)")
	flags.IntVar(&o.Warmup, "warmup", -1, "`N` operations before them that are thrown away (default: a block)")
	flags.StringVar(&m.save, "save", "", "`FILE` to keep every sample in, for report, plot and compare")
	flags.StringVar(&m.library, "library", "", "`PATH` of "+library+" (default: beside this program, or in ../lib/sublet)")
	m.format = output.Flag(flags)
	flags.Lookup("repetitions").DefValue, flags.Lookup("warmup").DefValue = "0", "0" // said in words
	return m
}

func (m *measurement) declareBlocks() {
	m.flags.IntVar(&m.options.Blocks, "blocks", bench.DefaultBlocks, "`N` turns for each contestant; repetitions are divided among them")
}

func (m *measurement) declareSizes(list string) {
	if err := m.sizes.Set(list); err != nil {
		panic(err) // the program's own list
	}
	m.flags.Var(&m.sizes, "sizes", "payloads in bytes: a list, or a range by doubling as 1..4MiB")
	m.flags.BoolVar(&m.options.Touch, "touch", true, "the client writes fresh input and reads the whole output; a figure without it is marked")
}

func (m *measurement) declareBaselines(names ...string) {
	m.flags.StringSliceVar(&m.options.Baselines, "baseline", nil, "`WHAT` takes turns with Sublet: "+strings.Join(names, ", "))
}

// measure checks the command line, runs, saves and reports.
func (m *measurement) measure(ctx context.Context, args []string, run func(context.Context, *bench.Options) (*record.Run, error), stdout io.Writer, stderr *os.File) error {
	o := &m.options
	if len(args) > 0 {
		return usagef("unexpected argument %q", args[0])
	}
	for _, name := range o.Baselines {
		if !slices.Contains(bench.Baselines, name) {
			return usagef("--baseline %s: there are %s", name, strings.Join(bench.Baselines, ", "))
		}
	}
	if o.Transport != "" && !slices.Contains(options.Transports, o.Transport) {
		return usagef("--transport %s: there are %s", o.Transport, strings.Join(options.Transports, ", "))
	}
	for _, name := range []string{"save", "library", "provider", "transport"} {
		if m.flags.Changed(name) && m.flags.Lookup(name).Value.String() == "" {
			return usagef("--%s is empty; leave it out, or name something", name)
		}
	}
	if err := o.Check(); err != nil {
		return usagef("%v", err)
	}
	o.Sizes, o.Command = m.sizes, append([]string{filepath.Base(os.Args[0])}, os.Args[1:]...)
	var err error
	if o.Library, err = m.findLibrary(); err != nil {
		return err
	}
	if slices.Contains(o.Baselines, bench.MPI) {
		if o.MPIRun, err = mpirun(ctx); err != nil {
			return err
		}
	}
	var draft *record.Draft
	if m.save != "" {
		if draft, err = record.NewDraft(m.save); err != nil {
			return fmt.Errorf("--save: %w", err)
		}
		defer draft.Discard()
	}
	bar := newProgress(stderr)
	o.Progress = bar.show
	result, err := run(ctx, o)
	bar.clear()
	if result == nil || len(result.Series) == 0 {
		return err
	}
	if failed := m.keep(result, draft, stdout); failed != nil {
		return failed
	}
	return err
}

// keep reports, and saves if there is a draft. The report comes first: it is there also where the samples
// can not be saved.
func (m *measurement) keep(result *record.Run, draft *record.Draft, stdout io.Writer) error {
	if err := write(stdout, result, *m.format); err != nil {
		return err
	}
	if draft == nil {
		return nil
	}
	if err := draft.Save(result); err != nil {
		return fmt.Errorf("--save: the samples are lost: %w", err)
	}
	return nil
}

func write(w io.Writer, run *record.Run, format output.Format) error {
	document := report.New(run)
	switch format {
	case output.JSON:
		return document.WriteJSON(w)
	case output.Quiet:
		for _, r := range document.Results {
			if _, err := fmt.Fprintln(w, r.P50); err != nil {
				return err
			}
		}
		return nil
	}
	return document.WriteTable(w)
}

func (m *measurement) findLibrary() (string, error) {
	if m.library != "" {
		return m.library, nil
	}
	return beside(library, "../lib/sublet", "--library PATH names it")
}

// beside finds a file that was built or installed with this program.
func beside(name, folder, otherwise string) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	for _, path := range []string{filepath.Join(filepath.Dir(self), name), filepath.Join(filepath.Dir(self), folder, name)} {
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s is not beside %s; `make build` makes it; %s", name, self, otherwise)
}

// mpirun is how two ranks of pingpong are started: $MPIRUN, with the options that Open MPI needs on a
// machine whose second core is someone's.
func mpirun(ctx context.Context) ([]string, error) {
	program, err := beside(pingpong, ".", "leave --baseline mpi out where there is no MPI")
	if err != nil {
		return nil, err
	}
	command := os.Getenv("MPIRUN")
	if command == "" {
		command = "mpirun"
	}
	version, err := exec.CommandContext(ctx, command, "--version").CombinedOutput()
	if err != nil {
		return nil, errors.New("--baseline mpi: " + command + " does not run; set MPIRUN, or leave it out")
	}
	line := []string{command}
	if strings.Contains(string(version), "Open MPI") {
		line = append(line, "--oversubscribe")
	}
	return append(line, "-n", "2", program), nil
}
