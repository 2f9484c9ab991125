package bench

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/sublet-hpc/sublet/bench/record"
	"github.com/sublet-hpc/sublet/internal/fabric/floor"
	"github.com/sublet-hpc/sublet/offload"
)

// now is the monotonic clock alone, which costs half of what time.Now costs.
var start = time.Now()

func now() int64 { return int64(time.Since(start)) }

// calls are Sublet's turn in latency: calls through a lease, as any program makes them.
type calls struct {
	stage   *stage
	result  *record.Series
	name    string // the function
	apart   bool   // Invoke and Wait instead of Call
	gap     time.Duration
	touch   bool
	in, out []*offload.Buffer[byte] // as many as are in flight
	source  []byte
	read    []byte
	count   uint64 // operations so far, for fresh input
}

func newCalls(s *stage, bytes int) (*calls, error) {
	c := &calls{
		stage: s, result: s.series(record.Latency, record.Sublet, bytes), name: floor.Echo, touch: s.options.Touch,
		source: make([]byte, bytes), read: make([]byte, bytes),
	}
	c.result.InFlight = s.options.InFlight
	if !c.touch {
		c.name = floor.Skip
	}
	if s.options.Mode == Warm {
		c.gap = gap
	}
	for range s.options.InFlight {
		in, err := offload.TryAlloc[byte](s.session, bytes)
		if err != nil {
			return nil, err
		}
		out, err := offload.TryAlloc[byte](s.session, bytes)
		if err != nil {
			return nil, err
		}
		c.in, c.out = append(c.in, in), append(c.out, out)
	}
	for i := range c.source {
		c.source[i] = byte(i)
	}
	return c, nil
}

func (c *calls) series() *record.Series { return c.result }

func (c *calls) close() error {
	for i := range c.in {
		if err := c.in[i].Free(); err != nil {
			return err
		}
		if err := c.out[i].Free(); err != nil {
			return err
		}
	}
	return nil
}

func (c *calls) block(ctx context.Context, count int) (record.Block, error) {
	if len(c.in) > 1 {
		return c.pipelined(ctx, count)
	}
	samples := make([]int64, settle+count)
	in, out := c.in[0], c.out[0]
	before := now()
	for i := range samples {
		if c.gap > 0 {
			floor.Pause(c.gap)
			before = now()
		}
		c.write(in)
		if err := c.once(ctx, in, out); err != nil {
			return record.Block{}, err
		}
		if err := c.check(out); err != nil {
			return record.Block{}, err
		}
		after := now()
		samples[i] = after - before
		before = after
	}
	return settled(samples[settle:]), nil
}

// once does one operation. What ends ctx ends the run between two blocks, or a Wait: that invocations
// watch it themselves would cost them more than they take.
func (c *calls) once(ctx context.Context, in, out *offload.Buffer[byte]) (err error) {
	if c.apart {
		_, err = c.stage.lease.Invoke(context.Background(), c.name, in, out).Wait(ctx)
	} else {
		_, err = c.stage.lease.Call(context.Background(), c.name, in, out)
	}
	return err
}

// write gives the next invocation a fresh input.
func (c *calls) write(in *offload.Buffer[byte]) {
	if !c.touch {
		return
	}
	c.count++
	if len(c.source) >= 8 {
		binary.NativeEndian.PutUint64(c.source, c.count)
	}
	copy(in.Slice(), c.source)
}

// check reads the output, and compares its beginning.
func (c *calls) check(out *offload.Buffer[byte]) error {
	if !c.touch {
		return nil
	}
	copy(c.read, out.Slice())
	if n := min(len(c.read), 8); len(c.in) == 1 && !bytes.Equal(c.read[:n], c.source[:n]) {
		return fmt.Errorf("the output begins with %x, the input with %x", c.read[:n], c.source[:n])
	}
	return nil
}

// pipelined keeps all buffers in flight; a sample is the time from an invocation to its output.
func (c *calls) pipelined(ctx context.Context, count int) (record.Block, error) {
	samples := make([]int64, count)
	futures := make([]offload.Future, len(c.in))
	sent := make([]int64, len(c.in))
	began := now()
	for i := range count + len(futures) {
		slot := i % len(futures)
		if i >= len(futures) {
			if _, err := futures[slot].Wait(ctx); err != nil {
				return record.Block{}, err
			}
			if err := c.check(c.out[slot]); err != nil {
				return record.Block{}, err
			}
			samples[i-len(futures)] = now() - sent[slot]
		}
		if i < count {
			sent[slot] = now()
			c.write(c.in[slot])
			futures[slot] = c.stage.lease.Invoke(context.Background(), c.name, c.in[slot], c.out[slot])
		}
	}
	return record.Block{Elapsed: now() - began, Samples: samples}, nil
}
