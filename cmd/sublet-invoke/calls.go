package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sublet-hpc/sublet/cmd/sublet-invoke/options"
	"github.com/sublet-hpc/sublet/offload"
)

// sample is one invocation's times.
type sample struct {
	roundTrip  time.Duration // from Invoke to the end of Wait
	inFunction time.Duration // of that, in the function
}

// calls are the invocations of a run: numbered from 0, each executor taking the next number when it
// has answered.
type calls struct {
	options *options.Options
	lease   *offload.Lease
	input   *offload.Buffer[byte]
	outputs []*offload.Buffer[byte] // one for each executor
	next    atomic.Int64
	samples []sample
	elapsed time.Duration

	lastExecutor, lastSize int // of the last number; one goroutine writes them
}

func newCalls(session *offload.Session, lease *offload.Lease, o *options.Options, input []byte) (*calls, error) {
	c := &calls{options: o, lease: lease, samples: make([]sample, o.Repeat)}
	var err error
	if c.input, err = offload.TryAlloc[byte](session, len(input)); err != nil {
		return nil, fmt.Errorf("memory for an input of %d bytes: %w", len(input), err)
	}
	copy(c.input.Slice(), input)
	for range lease.Executors() {
		out, err := offload.TryAlloc[byte](session, o.Capacity(len(input)))
		if err != nil {
			return nil, fmt.Errorf("memory for outputs of %d bytes: %w", o.Capacity(len(input)), err)
		}
		c.outputs = append(c.outputs, out)
	}
	return c, nil
}

// run invokes. It ends with the first failure.
func (c *calls) run(ctx context.Context) error {
	all, ctx := errgroup.WithContext(ctx)
	began := time.Now()
	for i, executor := range c.lease.Executors() {
		all.Go(func() error { return c.runOn(ctx, executor, i) })
	}
	err := all.Wait()
	c.elapsed = time.Since(began)
	return err
}

func (c *calls) runOn(ctx context.Context, executor *offload.Executor, index int) error {
	for first := true; ctx.Err() == nil; first = false { // a wait that is over at once does not look at it
		number := c.next.Add(1) - 1
		if number >= int64(c.options.Repeat) {
			return nil
		}
		size, err := c.invoke(ctx, executor, first, c.outputs[index], &c.samples[number])
		switch {
		case err != nil && c.options.Repeat > 1:
			return fmt.Errorf("invocation %d of %d: %w", number+1, c.options.Repeat, err)
		case err != nil:
			return err
		case number == int64(c.options.Repeat)-1:
			c.lastExecutor, c.lastSize = index, size
		}
	}
	return ctx.Err()
}

// invoke calls the function once. What ends ctx, or takes too long, ends the waiting, and the run with
// it: then the executors are killed, so that the invocation itself need not watch a context, which
// would cost time. But the first one on an executor does, for it also has the memory mapped there.
func (c *calls) invoke(ctx context.Context, executor *offload.Executor, first bool, out *offload.Buffer[byte], s *sample) (int, error) {
	limited := ctx
	if c.options.Timeout > 0 {
		var stop context.CancelFunc
		limited, stop = context.WithTimeout(ctx, time.Duration(c.options.Timeout))
		defer stop()
	}
	governing := context.Background()
	if first {
		governing = limited
	}
	began := time.Now()
	future := executor.Invoke(governing, c.options.Function, c.input, out)
	result, err := future.Result(limited)
	s.roundTrip = time.Since(began)
	s.inFunction = result.InFunction
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("function %s on %s was ended with its executor: %s is over", c.options.Function, executor, c.options.Deadline())
	}
	return result.Size, err
}

// done is how many invocations have begun, for who watches.
func (c *calls) done() int64 { return min(c.next.Load(), int64(c.options.Repeat)) }

// output is a copy of what the last invocation gave; it outlives the session.
func (c *calls) output() []byte {
	return append([]byte(nil), c.outputs[c.lastExecutor].Slice()[:c.lastSize]...)
}
