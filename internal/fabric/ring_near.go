package fabric

// #include "doorbell.h"
// #include "fabric.h"
// static void wake_executor(struct wire_ring *page) { doorbell_wake(&page->executor_sleeps); }
import "C"

import (
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/sublet-hpc/sublet/internal/pause"
)

// nearRing is a ring as Go itself reads and writes it. What rides in a header takes as long from core to
// core as the way into C and back, so a call of that size stays in Go: it writes the request, and looks for
// the response for about a microsecond. All else is C's (ring.c, client.c), which finds the same memory in the same
// state.
type nearRing struct {
	requests  []C.struct_wire_request
	responses unsafe.Pointer // a stride apart
	page      *C.struct_wire_ring
	maySleep  bool
}

// nearTurns is how often a response is looked for, with a pause each time, before that is left to C.
const nearTurns = 64

func newNearRing(memory []byte, slots int, maySleep bool) *nearRing {
	return &nearRing{
		requests:  unsafe.Slice((*C.struct_wire_request)(unsafe.Pointer(&memory[C.WIRE_RING_PAGE])), slots),
		responses: unsafe.Pointer(&memory[C.wire_ring_responses(C.uint32_t(slots))]),
		page:      (*C.struct_wire_ring)(unsafe.Pointer(&memory[0])),
		maySleep:  maySleep,
	}
}

func (n *nearRing) response(id uint64) *C.struct_wire_response {
	slot := uintptr(id) & uintptr(len(n.requests)-1)
	return (*C.struct_wire_response)(unsafe.Add(n.responses, slot*C.WIRE_RING_RESPONSE))
}

// isNear tells whether a request and its response are one line each, and nothing else is in flight.
func (c *Client) isNear(r *Request) bool {
	return uint(r.Input.Size) <= C.WIRE_INLINE && uint(r.Output.Size) <= C.WIRE_INLINE && len(r.Constants) == 0 &&
		c.c.submitted == c.c.harvested && c.c.faults == nil
}

// callNear is SubmitAndHarvest without C, where isNear.
func (c *Client) callNear(r *Request, budget time.Duration) (uint64, []Response, error) {
	id := uint64(c.c.submitted) + 1
	c.submitNear(r, id)
	response := c.near.response(id)
	pause.For(uint32(c.c.grace))
	for range nearTurns {
		if atomic.LoadUint64((*uint64)(&response.id)) == id {
			responses, err := c.takeNear(r, id, response)
			return id, responses, err
		}
		if atomic.LoadUint32(&c.wanted) > 0 {
			return id, nil, nil
		}
		pause.For(1)
	}
	responses, err := c.Harvest(id, budget)
	return id, responses, err
}

// submitNear does what ring_submit does for a request of one line.
func (c *Client) submitNear(r *Request, id uint64) {
	slot := int(id) & (len(c.near.requests) - 1)
	request := &c.near.requests[slot]
	copyInline(unsafe.Pointer(&request.inlined), r.Input.Address, r.Input.Size)
	request.function = C.uint32_t(r.Function)
	request.flags = C.WIRE_INPUT_INLINE | C.WIRE_OUTPUT_INLINE
	request.constants = 0
	request.input_size = C.uint64_t(r.Input.Size)
	request.output_capacity = C.uint64_t(r.Output.Size)
	// For C, if that is to find the response.
	pending := &c.c.pending[slot]
	pending.output, pending.capacity, pending.flags = r.Output.Address, C.uint64_t(r.Output.Size), C.WIRE_INPUT_INLINE|C.WIRE_OUTPUT_INLINE
	c.c.submitted = C.uint64_t(id)
	atomic.StoreUint64((*uint64)(&request.id), id)
	// Either the executor sees the request before it sleeps, or we see that it sleeps: Go's atomic
	// operations are in one order.
	if c.near.maySleep && atomic.LoadUint32((*uint32)(&c.near.page.executor_sleeps)) != 0 {
		C.wake_executor(c.near.page)
	}
}

// takeNear does what take does (client.c): it reads each field once, and checks what it has read. What is
// not an output in the response's own line is left to C.
func (c *Client) takeNear(r *Request, id uint64, response *C.struct_wire_response) ([]Response, error) {
	status := Status(atomic.LoadInt32((*int32)(&response.status)))
	size := atomic.LoadUint64((*uint64)(&response.size))
	inCall := atomic.LoadUint64((*uint64)(&response.nanoseconds))
	if status != StatusOK || size > uint64(r.Output.Size) {
		return c.Harvest(id, 0)
	}
	copyInline(r.Output.Address, unsafe.Pointer(&response.inlined), int(size))
	c.c.harvested = C.uint64_t(id)
	c.harvested = append(c.harvested[:0], Response{ID: id, Size: int(size), InCall: time.Duration(min(inCall, 1<<63-1))})
	return c.harvested, nil
}

// copyInline copies at most WIRE_INLINE bytes; eight, the commonest size, by a store of its own.
func copyInline(to, from unsafe.Pointer, size int) {
	if size == 8 {
		*(*uint64)(to) = *(*uint64)(from)
		return
	}
	copy(unsafe.Slice((*byte)(to), size), unsafe.Slice((*byte)(from), size))
}
