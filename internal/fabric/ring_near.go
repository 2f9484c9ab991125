package fabric

// #include "doorbell.h"
// #include "fabric.h"
// static void wake_executor(struct wire_ring *page) { doorbell_wake(&page->executor_sleeps); }
import "C"

import (
	"math"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/sublet-hpc/sublet/internal/pause"
)

// nearRing is a ring as Go itself reads and writes it. What rides in a header takes as long from core to
// core as the way into C and back, so requests and responses of that size stay in Go, which looks for a response for
// about a microsecond. All else is C's (ring.c, client.c), which finds the same memory in the same state: one may
// submit what the other harvests.
type nearRing struct {
	requests  []C.struct_wire_request
	responses unsafe.Pointer // a stride apart
	page      *C.struct_wire_ring
	maySleep  bool
}

// nearTurns is how often a response is looked for, with a pause each time, before that is left to C.
const nearTurns = 64

const nearFlags = C.WIRE_INPUT_INLINE | C.WIRE_OUTPUT_INLINE

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

// isNear tells whether Go submits a request itself: it and its response are one line each.
func (c *Client) isNear(r *Request) bool {
	return c.near != nil && uint(r.Input.Size) <= C.WIRE_INLINE && uint(r.Output.Size) <= C.WIRE_INLINE && len(r.Constants) == 0
}

// submitNear does what ring_submit does for a request of one line.
func (c *Client) submitNear(r *Request) (uint64, error) {
	if int(c.c.submitted-c.c.harvested) >= len(c.near.requests) {
		return 0, ErrFull
	}
	id := uint64(c.c.submitted) + 1
	slot := int(id) & (len(c.near.requests) - 1)
	request := &c.near.requests[slot]
	copyInline(unsafe.Pointer(&request.inlined), r.Input.Address, r.Input.Size)
	request.function = C.uint32_t(r.Function)
	request.flags = nearFlags
	request.constants = 0
	request.input_size = C.uint64_t(r.Input.Size)
	request.output_capacity = C.uint64_t(r.Output.Size)
	pending := &c.c.pending[slot]
	pending.output, pending.capacity, pending.flags = r.Output.Address, C.uint64_t(r.Output.Size), nearFlags
	c.c.submitted = C.uint64_t(id)
	atomic.StoreUint64((*uint64)(&request.id), id)
	// Either the executor sees the request before it sleeps, or we see that it sleeps: Go's atomic
	// operations are in one order.
	if c.near.maySleep && atomic.LoadUint32((*uint32)(&c.near.page.executor_sleeps)) != 0 {
		C.wake_executor(c.near.page)
	}
	return id, nil
}

// What Go found where the next response is going to be.
const (
	taken  = iota // it has come, and is in harvested
	absent        // it has not come
	forC          // it is, or will be, of those that are left to C
)

// harvestNear is Harvest of responses of one line for as long as Go looks for them, which with no budget is
// once. They are in c.harvested; that there are fewer says nothing about what is the matter.
func (c *Client) harvestNear(until uint64, budget time.Duration) {
	c.harvested = c.harvested[:0]
	for range nearTurns {
		next := absent
		for c.c.harvested < c.c.submitted && len(c.harvested) < Batch {
			if next = c.takeNear(); next != taken {
				break
			}
		}
		if next == forC || uint64(c.c.harvested) >= until || len(c.harvested) == Batch || budget == 0 || atomic.LoadUint32(&c.wanted) > 0 {
			return
		}
		pause.For(1)
	}
}

// takeNear takes the next response, if it has come, as take does (client.c): it reads each field once, and checks what it
// has read. What is not an output in the response's own line is left to C.
func (c *Client) takeNear() int {
	id := uint64(c.c.harvested) + 1
	pending := &c.c.pending[int(id)&(len(c.near.requests)-1)]
	if pending.flags != nearFlags {
		return forC
	}
	response := c.near.response(id)
	if atomic.LoadUint64((*uint64)(&response.id)) != id {
		return absent
	}
	size := atomic.LoadUint64((*uint64)(&response.size))
	if atomic.LoadInt32((*int32)(&response.status)) != C.WIRE_OK || size > uint64(pending.capacity) {
		return forC
	}
	copyInline(pending.output, unsafe.Pointer(&response.inlined), int(size))
	c.c.harvested = C.uint64_t(id)
	c.harvested = append(c.harvested, Response{ID: id, Size: int(size), InCall: time.Duration(min(atomic.LoadUint64((*uint64)(&response.nanoseconds)), math.MaxInt64))})
	return taken
}

// copyInline copies at most WIRE_INLINE bytes; eight, the commonest size, by a store of its own.
func copyInline(to, from unsafe.Pointer, size int) {
	if size == 8 {
		*(*uint64)(to) = *(*uint64)(from)
		return
	}
	copy(unsafe.Slice((*byte)(to), size), unsafe.Slice((*byte)(from), size))
}
