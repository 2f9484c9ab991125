package fabric

// #cgo CFLAGS: -std=gnu11 -O3 -Wall -Wextra -fno-strict-aliasing
// #cgo LDFLAGS: -ldl -lpthread
// #include <stdlib.h>
// #include "fabric.h"
import "C"

import (
	"errors"
	"fmt"
	"math"
	"sync/atomic"
	"time"
	"unsafe"
)

// Limits of the wire.
const (
	WireVersion  = C.WIRE_VERSION
	DefaultSlots = C.WIRE_SLOTS
	MaxSlots     = C.WIRE_SLOTS_MAX
	MaxConstants = C.WIRE_CONSTANTS
	MaxRegions   = C.WIRE_REGIONS // ids of regions are 1 to MaxRegions-1
	// EagerSize is the largest payload that travels with its request or response over libfabric;
	// a larger one moves while somebody polls.
	EagerSize = C.WIRE_SLOT_PAYLOAD
	// Probe is a function that every executor has: it copies its input to its output, and is
	// counted nowhere.
	Probe = C.WIRE_PROBE
)

// ErrFull says that every slot holds an invocation that was not harvested.
var ErrFull = errors.New("fabric: all slots are in use")

// ErrBroken says that the peer is gone.
var ErrBroken = errors.New("fabric: the peer is gone")

// ProtocolError says that an executor wrote what none of ours writes.
type ProtocolError struct{ Reason string }

func (e *ProtocolError) Error() string { return "fabric: " + e.Reason }

// Path names what a client really uses.
type Path struct {
	Transport string `json:"transport"` // ring, ofi-write, ofi-send
	Provider  string `json:"provider"`  // libfabric's own name; memfd for the ring
}

// Transports.
const (
	Ring     = "ring"
	OFIWrite = "ofi-write"
	OFISend  = "ofi-send"
)

// Payload is an input or an output: Size bytes at Address, which lie at Offset in a region. The
// zero Payload is none.
type Payload struct {
	Address unsafe.Pointer
	Size    int
	Region  uint32
	Offset  uint64
}

// Request is one invocation. Output.Size is the output's capacity.
type Request struct {
	Function  uint32
	Input     Payload
	Output    Payload
	Constants []uint32 // regions
}

// Status says how an invocation ended; positive values are the function's own error codes.
type Status int32

// Statuses.
const (
	StatusOK              Status = C.WIRE_OK
	StatusUnknownFunction Status = C.WIRE_UNKNOWN_FUNCTION
	StatusBadReference    Status = C.WIRE_BAD_REFERENCE
	StatusOutputTooSmall  Status = C.WIRE_OUTPUT_TOO_SMALL
	StatusPayloadTooLarge Status = C.WIRE_PAYLOAD_TOO_LARGE
	StatusMalformed       Status = C.WIRE_MALFORMED
)

// Response is how an invocation ended.
type Response struct {
	ID     uint64
	Status Status
	Size   int           // bytes of output; with StatusOutputTooSmall what it needed
	InCall time.Duration // spent in the function
	Text   string        // the error's, if there is one
}

// Client is a rank's end of a connection to one executor. One goroutine at a time uses it.
type Client struct {
	c         *C.struct_fabric_client
	path      Path
	slots     int
	request   *C.struct_fabric_submission // what C reads a request from; outside the Go heap
	naps      bool                        // the sleep must be short
	broken    error
	wanted    uint32                     // atomic: goroutines that wait for the client
	responses []C.struct_fabric_response // what C harvests into; outside the Go heap
	harvested []Response
	attach    attacher // nil on the ring, where regions need no registering
	release   func()   // frees what C used, after it is closed; may be nil
}

// harvestBatch is how many responses one call into C can bring.
const harvestBatch = 16

func newClient(c *C.struct_fabric_client, path Path, slots int) (*Client, error) {
	responses := C.calloc(harvestBatch, C.sizeof_struct_fabric_response)
	request := C.calloc(1, C.sizeof_struct_fabric_submission)
	if responses == nil || request == nil {
		C.free(responses)
		C.free(request)
		C.fabric_close(c)
		return nil, errors.New("fabric: out of memory")
	}
	return &Client{
		c: c, path: path, slots: slots, request: (*C.struct_fabric_submission)(request),
		responses: unsafe.Slice((*C.struct_fabric_response)(responses), harvestBatch),
		harvested: make([]Response, 0, harvestBatch),
	}, nil
}

// Path names the transport and provider.
func (c *Client) Path() Path { return c.path }

// Slots is how many invocations can be in flight.
func (c *Client) Slots() int { return c.slots }

// Submitted is the id of the last invocation submitted.
func (c *Client) Submitted() uint64 { return uint64(c.c.submitted) }

// Harvested is the id of the last invocation harvested.
func (c *Client) Harvested() uint64 { return uint64(c.c.harvested) }

// Descriptor becomes readable, after Arm, when there is something to harvest.
func (c *Client) Descriptor() int { return int(c.c.descriptor) }

func (p *Payload) fill(out *C.struct_fabric_payload) {
	out.address = p.Address
	out.size = C.uint64_t(p.Size)
	out.region = C.uint32_t(p.Region)
	out.offset = C.uint64_t(p.Offset)
}

func (r *Request) fill(s *C.struct_fabric_submission) {
	s.function = C.uint32_t(r.Function)
	r.Input.fill(&s.input)
	r.Output.fill(&s.output)
	s.constants = C.uint32_t(len(r.Constants))
	for i, region := range r.Constants {
		s.constant[i] = C.uint32_t(region)
	}
}

// Submit sends a request and returns its id. It waits for nothing: ErrFull when all slots are in
// use. Request.Constants has at most MaxConstants entries.
func (c *Client) Submit(r *Request) (uint64, error) {
	if c.broken != nil {
		return 0, c.broken
	}
	r.fill(c.request)
	if result := C.fabric_submit(c.c, c.request); result < 0 {
		return 0, c.failure(result)
	}
	return uint64(c.c.submitted), nil
}

// Harvest spins until the response to the invocation until has come, at most for budget, and
// returns what has come, in the order of submission. The slice is valid until the next call.
// A budget of 0 only looks.
func (c *Client) Harvest(until uint64, budget time.Duration) ([]Response, error) {
	if c.broken != nil {
		return nil, c.broken
	}
	n := C.fabric_harvest(c.c, C.uint64_t(until), C.uint64_t(budget), (*C.uint32_t)(&c.wanted), &c.responses[0], harvestBatch)
	return c.collect(n)
}

// SubmitAndHarvest is Submit and Harvest of that invocation in one crossing into C.
func (c *Client) SubmitAndHarvest(r *Request, budget time.Duration) (uint64, []Response, error) {
	if c.broken != nil {
		return 0, nil, c.broken
	}
	r.fill(c.request)
	before := c.c.submitted
	n := C.fabric_submit_and_harvest(c.c, c.request, C.uint64_t(budget), (*C.uint32_t)(&c.wanted), &c.responses[0], harvestBatch)
	if c.c.submitted == before {
		return 0, nil, c.failure(n)
	}
	responses, err := c.collect(n)
	return uint64(c.c.submitted), responses, err
}

func (c *Client) collect(n C.int) ([]Response, error) {
	if n < 0 {
		return nil, c.failure(n)
	}
	c.harvested = c.harvested[:0]
	for i := range c.responses[:n] {
		r := &c.responses[i]
		response := Response{
			ID: uint64(r.id), Status: Status(r.status), Size: int(min(r.size, math.MaxInt64)),
			InCall: time.Duration(min(r.nanoseconds, math.MaxInt64)),
		}
		if r.text_size > 0 {
			response.Text = C.GoStringN(&r.text[0], C.int(r.text_size))
		}
		c.harvested = append(c.harvested, response)
	}
	return c.harvested, nil
}

func (c *Client) failure(result C.int) error {
	switch result {
	case C.FABRIC_FULL:
		return ErrFull
	case C.FABRIC_BROKEN:
		c.broken = ErrBroken
		if text := C.GoString(&c.c.text[0]); text != "" {
			c.broken = fmt.Errorf("%w: %s", ErrBroken, text)
		}
	case C.FABRIC_PROTOCOL:
		c.broken = &ProtocolError{Reason: "an executor answered with more than was asked for, or with garbage"}
	default:
		c.broken = errors.New("fabric: " + C.GoString(&c.c.text[0]))
	}
	return c.broken
}

// Want makes a Harvest that spins on another thread return soon, until the same number of Unwant.
// They and Abandon may be called beside other methods.
func (c *Client) Want() { atomic.AddUint32(&c.wanted, 1) }

// Unwant takes back a Want.
func (c *Client) Unwant() { atomic.AddUint32(&c.wanted, ^uint32(0)) }

// Abandon makes what waits for the executor in Submit or Push return ErrBroken soon: an executor
// that does not poll, or a node that has vanished, would hold it. The client is broken from then
// on. It may be called beside other methods, but not beside Close.
//
// Over shm, who hangs in a lock that the executor has taken with it is freed as well, if the executor has
// exited before.
func (c *Client) Abandon() {
	C.fabric_let_go(&c.c.leave)
}

// Arm prepares for sleeping on Descriptor. It returns false if there is something to harvest
// now, perhaps an error; else the caller sleeps, no longer than Nap, and then calls Disarm.
func (c *Client) Arm() bool {
	if c.broken != nil {
		return false
	}
	armed := C.fabric_arm(c.c)
	if armed < 0 {
		_ = c.failure(armed) // Harvest tells
	}
	c.naps = armed > 1
	return armed > 0
}

// Nap is how long a sleep that Arm has allowed may last; 0: for ever. Some providers can not wake
// us for everything that is on its way.
func (c *Client) Nap() time.Duration {
	if c.naps {
		return time.Millisecond
	}
	return 0
}

// Disarm ends what Arm began.
func (c *Client) Disarm() { C.fabric_disarm(c.c) }

// Close ends the connection and frees what it holds. Over libfabric nothing that the executor
// sends lands any more once it has returned; on the ring and over shm see "Who owns which memory".
func (c *Client) Close() {
	if c.c == nil {
		return
	}
	C.fabric_close(c.c)
	C.free(unsafe.Pointer(&c.responses[0]))
	C.free(unsafe.Pointer(c.request))
	c.c, c.request, c.responses, c.broken = nil, nil, nil, ErrBroken
	if c.release != nil {
		c.release()
	}
}
