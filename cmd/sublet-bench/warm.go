package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/pflag"

	"github.com/sublet-hpc/sublet/cmd/internal/output"
	"github.com/sublet-hpc/sublet/offload"
)

// warm is rFaaS's warm_benchmarker and parallel_invocations.
type warm struct {
	benchmarker
	all    bool // executors are called at once; else the first alone
	format output.Format
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
		setUp: (&warm{benchmarker: benchmarker{command: "warm"}}).setUp,
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
		setUp: (&warm{benchmarker: benchmarker{command: "parallel"}, all: true}).setUp,
	}
}

// setUp declares the flags.
func (w *warm) setUp(flags *pflag.FlagSet) runFunc {
	w.format = output.Table
	w.declare(flags)
	flags.Var(&w.format, "output", "how to print: table, json or quiet")
	return func(ctx context.Context, args []string, stdout io.Writer, stderr *os.File) error {
		if err := w.read(args); err != nil {
			return err
		}
		return w.run(ctx, stdout, stderr)
	}
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
	session, want, err := w.open(ctx, stderr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, session.Close()) }()
	lease, err := session.Lease(ctx, want)
	if err != nil {
		return err
	}
	w.introduce(lease, stderr)
	result, samples, err := w.measure(ctx, session, lease)
	if err != nil {
		return err
	}
	text := bytes.NewBufferString("repetition,round_trip_ns\n")
	for i, sample := range samples {
		fmt.Fprintf(text, "%d,%d\n", i, sample)
	}
	if err := w.keep(text.Bytes()); err != nil {
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
	load := w.newPayload(session, len(called))
	call := func() (int, error) { return load.call(ctx, called, w.name) }
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
	r.Average, r.Median = summarize(samples)
	r.Data = load.data(size)
	return r, samples, nil
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
