package fabric

import (
	"bytes"
	"errors"
	"fmt"
	"time"
	"unsafe"
)

// Probes are sizes for CallProbe, one for each way that a payload can take.
var Probes = []struct {
	Way  string
	Size int // bytes
}{
	{"a payload in the header's line", 8},
	{"a payload behind the header", 4 << 10},
	{"a payload between memory regions", EagerSize + 4<<10},
}

const (
	// probePatience is how long one call may take. The first one over some networks connects; and a process that
	// has just started may wait for its core for seconds, where others spin. That it has died is known otherwise.
	probePatience = 8 * time.Second
	// probeTurn is what one look counts at most: what took longer was no waiting, we were not there to look.
	probeTurn = 100 * time.Millisecond
	// probeSlice is how long it spins before it looks whether the executor is still there.
	probeSlice = 50 * time.Microsecond
	// probeSpin is how long it does nothing but spin. From then on it leaves its core for probeRest after each
	// slice: the executor may need the same core, and is of another session, whose processes the kernel (with
	// sched_autogroup) does not let run because ours yield.
	probeSpin = time.Millisecond
	probeRest = 200 * time.Microsecond
)

// ErrNoAnswer says that an executor has not answered a CallProbe in time.
var ErrNoAnswer = errors.New("no answer")

// CallProbe has the executor copy size bytes from the first half of a piece of memory, whose region it knows, to the
// second, and compares them. Nothing else is in flight. Between two looks for the response it asks
// whether to go on; an error of that ends it, unless the response has come meanwhile.
func (c *Client) CallProbe(memory Payload, size int, goOn func() error) error {
	half := memory.Size / 2
	input, output := memory, memory
	output.Address, output.Offset = unsafe.Add(memory.Address, half), memory.Offset+uint64(half)
	input.Size, output.Size = size, size
	in, out := unsafe.Slice((*byte)(input.Address), size), unsafe.Slice((*byte)(output.Address), size)
	for i := range in {
		in[i] = byte(i*7 + size)
	}
	clear(out)
	id, err := c.Submit(&Request{Function: Probe, Input: input, Output: output})
	if err != nil {
		return err
	}
	if err := c.awaitProbe(id, size, goOn); err != nil {
		return err
	}
	if !bytes.Equal(in, out) {
		return fmt.Errorf("%d bytes came back changed", size)
	}
	return nil
}

// awaitProbe waits for the response. What speaks against waiting on is found out before each look, so that
// an answer counts however late it is looked for.
func (c *Client) awaitProbe(id uint64, size int, goOn func() error) error {
	start := time.Now()
	rest := patience{last: start, left: probePatience}
	for {
		giveUp := goOn()
		if giveUp == nil && rest.isOver(time.Now()) {
			giveUp = fmt.Errorf("%w to %d bytes in %v", ErrNoAnswer, size, probePatience)
		}
		responses, err := c.Harvest(id, probeSlice)
		if err != nil {
			return err
		}
		for _, r := range responses {
			if r.Status != StatusOK || r.Size != size {
				return fmt.Errorf("status %d and %d bytes came back for %d: %s", r.Status, r.Size, size, r.Text)
			}
		}
		if c.Harvested() >= id {
			return nil
		}
		if giveUp != nil {
			return giveUp
		}
		if time.Since(start) > probeSpin {
			time.Sleep(probeRest) //nolint:forbidigo // it is for leaving the core, not for an event; goOn knows of contexts
		}
	}
}

// patience is how long is still to be waited, in time during which somebody looked.
type patience struct {
	last time.Time
	left time.Duration
}

func (p *patience) isOver(now time.Time) bool {
	p.left -= min(now.Sub(p.last), probeTurn)
	p.last = now
	return p.left <= 0
}
