package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/sublet-hpc/sublet/cmd/sublet-invoke/options"
	"github.com/sublet-hpc/sublet/offload"
	"github.com/sublet-hpc/sublet/resources/api"
)

// run leases, invokes and reports. Nothing of what it leased is left when it returns.
func run(o *options.Options, stdin io.Reader, stdout, stderr *os.File) error {
	// Before signals are caught: a Ctrl-C ends the reading of a terminal, too.
	input, err := readInput(o.In, stdin)
	if err != nil {
		return err
	}
	ctx, stop := untilSignal()
	defer stop()
	result, err := invokeAll(ctx, o, input, stderr)
	if err != nil {
		return err
	}
	if err := writeOutput(o.Out, result.output, stdout); err != nil {
		return err
	}
	if o.Out == options.Standard {
		stdout = stderr
	}
	r := newReport(o, len(input), result)
	if warning := r.warning(o.Output); warning != "" {
		fmt.Fprintln(stderr, "sublet: invoke:", warning)
	}
	return r.write(stdout, o.Output)
}

// result is what came of the invocations.
type result struct {
	library   string
	executors []executor
	output    []byte        // the last invocation's
	leasing   time.Duration // until all executors were there
	elapsed   time.Duration // from the first call to the last answer
	samples   []sample      // in the order of the calls
}

// executor is one that was leased.
type executor struct {
	Index          int    `json:"index"`
	Node           string `json:"node"`
	Core           int    `json:"core"`
	More           []int  `json:"more_cores,omitempty"`
	Oversubscribed bool   `json:"oversubscribed"`
	Transport      string `json:"transport"`
	Provider       string `json:"provider"`
}

// invokeAll leases executors, has them called, and gives them back.
func invokeAll(ctx context.Context, o *options.Options, input []byte, stderr *os.File) (_ *result, err error) {
	if err := choosePath(o); err != nil {
		return nil, err
	}
	library, err := filepath.Abs(o.Library)
	if err != nil {
		return nil, fmt.Errorf("--library %s: %w", o.Library, err)
	}
	oversubscribe, err := oversubscribes(o)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	session, err := offload.Connect(ctx)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil && ctx.Err() != nil {
			err = errInterrupted
		}
		err = errors.Join(err, session.Close())
	}()
	lease, err := leaseFor(ctx, session, o, offload.Want{
		Executors: o.Executors, CoresPerExecutor: o.Cores, Library: library, Oversubscribe: oversubscribe, Placement: offload.Placement(o.Placement),
		Wait: time.Duration(o.Wait), TimeLimit: time.Duration(o.TimeLimit),
	}, stderr)
	if err != nil {
		return nil, explain(err, o)
	}
	result := &result{library: library, leasing: time.Since(began)}
	for _, e := range lease.Executors() {
		path := e.Path()
		leased := executor{Index: e.Index(), Node: e.Node(), Core: e.Core(), Oversubscribed: e.Oversubscribed(), Transport: path.Transport, Provider: path.Provider}
		if cores := e.Cores(); len(cores) > 1 {
			leased.More = cores[1:]
		}
		result.executors = append(result.executors, leased)
	}
	c, err := newCalls(session, lease, o, input)
	if err != nil {
		return nil, err
	}
	stopProgress := showProgress(stderr, o.Function, o.Repeat, c.done)
	err = c.run(ctx)
	stopProgress()
	if err != nil {
		return nil, explain(err, o)
	}
	result.samples, result.elapsed, result.output = c.samples, c.elapsed, c.output()
	return result, nil
}

func leaseFor(ctx context.Context, session *offload.Session, o *options.Options, want offload.Want, stderr *os.File) (*offload.Lease, error) {
	title := "waiting for " + count(o.Executors, "executor")
	defer showProgress(stderr, title, 1, func() int64 { return 0 })()
	return session.Lease(ctx, want)
}

// choosePath hands on to package offload what it takes from the environment.
func choosePath(o *options.Options) error {
	if o.Directory != "" { // it was named
		if err := os.Unsetenv(offload.DatabaseVariable); err != nil {
			return err
		}
	}
	for variable, value := range map[string]string{api.DirectoryVariable: o.Directory, "SUBLET_TRANSPORT": o.Transport, offload.DatabaseVariable: o.Database} {
		if value == "" {
			continue
		}
		if err := os.Setenv(variable, value); err != nil {
			return err
		}
	}
	return nil
}

// oversubscribes decides whether executors may share cores, where nobody has said. On this node's own
// cores they may: else a machine of one core could invoke nothing. Those of a resource manager, or of an
// executors database, are others' as well, who would be slowed down. And whoever waits for cores wants them for himself,
// as do threads, which would hold each other up.
func oversubscribes(o *options.Options) (bool, error) {
	switch {
	case o.Oversubscribe != options.Unsaid:
		return o.Oversubscribe == options.Yes, nil
	case o.Wait > 0 || o.Cores > 1 || os.Getenv(offload.DatabaseVariable) != "":
		return false, nil
	}
	directory, err := api.Directory()
	if err != nil {
		return false, err
	}
	_, err = api.ReadAccess(directory)
	return errors.Is(err, api.ErrNoResourceManager), nil // other errors are for Connect to explain
}

// explain adds the option that helps.
func explain(err error, o *options.Options) error {
	switch {
	case errors.Is(err, offload.ErrNoCapacity) && o.Oversubscribe == options.Yes:
		return err
	case errors.Is(err, offload.ErrNoCapacity) && o.Cores > 1 && o.Wait > 0: // such executors share no cores
		return err
	case errors.Is(err, offload.ErrNoCapacity) && o.Cores > 1:
		return fmt.Errorf("%w; --wait 1m waits for cores", err)
	case errors.Is(err, offload.ErrNoCapacity) && o.Wait > 0:
		return fmt.Errorf("%w; --oversubscribe instead of --wait shares cores", err)
	case errors.Is(err, offload.ErrNoCapacity):
		return fmt.Errorf("%w; --wait 1m waits for cores, --oversubscribe shares them", err)
	case isOver(err):
		return fmt.Errorf("%w; a larger --time-limit lets it go on", err)
	case errors.Is(err, offload.ErrOutputTooSmall):
		return fmt.Errorf("%w: --out-size", err)
	}
	return err
}

// isOver tells whether the lease's time was over.
func isOver(err error) bool {
	var lost *offload.ExecutorLost
	return errors.As(err, &lost) && lost.Cause == offload.LostTimeLimit
}
