package fabric

import (
	"bytes"
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
	// probeSlice is how long it spins before it looks whether the executor is still there.
	probeSlice = 50 * time.Microsecond
)

// CallProbe has the executor copy size bytes from the first half of a piece of memory, whose region it knows, to the
// second, and compares them. Nothing else is in flight. Between two looks for the response it asks
// whether to go on; an error of that ends it.
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
	for deadline := time.Now().Add(probePatience); ; {
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
			break
		}
		if err := goOn(); err != nil {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("no answer to %d bytes in %v", size, probePatience)
		}
	}
	if !bytes.Equal(in, out) {
		return fmt.Errorf("%d bytes came back changed", size)
	}
	return nil
}
