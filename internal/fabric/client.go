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

	"github.com/sublet-hpc/sublet/internal/pause"
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
	crossing  *C.struct_fabric_crossing // what C gets and gives; outside the Go heap
	naps      bool                      // the sleep must be short
	broken    error
	wanted    uint32 // atomic: goroutines that wait for the client
	harvested []Response
	near      *nearRing // nil but on a ring without faults
	attach    attacher  // nil on the ring, where regions need no registering
	release   func()    // frees what C used, after it is closed; may be nil
}

func newClient(c *C.struct_fabric_client, path Path, slots int) (*Client, error) {
	client := &Client{
		c: c, path: path, slots: slots, crossing: (*C.struct_fabric_crossing)(C.calloc(1, C.sizeof_struct_fabric_crossing)),
		harvested: make([]Response, 0, Batch),
	}
	if client.crossing == nil {
		C.fabric_close(c)
		return nil, errors.New("fabric: out of memory")
	}
	client.crossing.client = c
	client.crossing.wanted = C.uintptr_t(uintptr(unsafe.Pointer(&client.wanted))) // Go's heap does not move
	return client, nil
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

// cross calls C with what stands in the crossing. An address that is a number spares looking up what
// it points to.
func (c *Client) cross() C.int {
	return C.fabric_cross(C.uintptr_t(uintptr(unsafe.Pointer(c.crossing))))
}

// Submit sends a request and returns its id. It waits for nothing: ErrFull when all slots are in
// use. Request.Constants has at most MaxConstants entries.
func (c *Client) Submit(r *Request) (uint64, error) {
	if c.broken != nil {
		return 0, c.broken
	}
	if c.isNear(r) {
		return c.submitNear(r)
	}
	r.fill(&c.crossing.submissions[0])
	c.crossing.count, c.crossing.max, c.crossing.waits = 1, 0, 0
	if result := c.cross(); result < 0 {
		return 0, c.failure(result)
	}
	return uint64(c.c.submitted), nil
}

// Harvest spins until the response to the invocation until has come, at most for budget, and
// returns what has come, in the order of submission. The slice is valid until the next call. It may
// end before, with what came ahead of that. A budget of 0 only looks.
func (c *Client) Harvest(until uint64, budget time.Duration) ([]Response, error) {
	if c.broken != nil {
		return nil, c.broken
	}
	if c.near != nil {
		until = min(until, uint64(c.c.submitted))
		if c.harvestNear(until, budget); len(c.harvested) > 0 || uint64(c.c.harvested) >= until {
			return c.harvested, nil
		}
	}
	c.crossing.count, c.crossing.max = 0, Batch
	c.crossing.until, c.crossing.nanoseconds = C.uint64_t(until), C.uint64_t(budget)
	return c.collect(c.cross())
}

// SubmitAndHarvest is Submit and Harvest of that invocation in one crossing into C, or in none (ring_near.go).
func (c *Client) SubmitAndHarvest(r *Request, budget time.Duration) (uint64, []Response, error) {
	if c.broken != nil {
		return 0, nil, c.broken
	}
	if c.isNear(r) {
		id, err := c.submitNear(r)
		if err != nil {
			return 0, nil, err
		}
		if id == uint64(c.c.harvested)+1 {
			pause.For(uint32(c.c.grace))
		}
		responses, err := c.Harvest(id, budget)
		return id, responses, err
	}
	r.fill(&c.crossing.submissions[0])
	c.crossing.count, c.crossing.max, c.crossing.waits = 1, Batch, 0
	c.crossing.nanoseconds = C.uint64_t(budget)
	n := c.cross()
	if c.crossing.count > 0 {
		return 0, nil, c.failure(n)
	}
	responses, err := c.collect(n)
	return uint64(c.c.submitted), responses, err
}

// Batch is the most requests of one Stream.
const Batch = C.FABRIC_BATCH

// Stream submits requests, in their order, as slots become free, and harvests until the last of them
// has been answered, in one crossing into C. It ends early after budget, or when as many as a Batch have been
// answered, and says how many requests it has submitted, whose ids follow one another up to Submitted.
func (c *Client) Stream(requests []*Request, budget time.Duration) (submitted int, _ []Response, _ error) {
	if c.broken != nil {
		return 0, nil, c.broken
	}
	for i := range requests {
		requests[i].fill(&c.crossing.submissions[i])
	}
	c.crossing.count, c.crossing.max, c.crossing.waits = C.uint32_t(len(requests)), Batch, 1
	c.crossing.until, c.crossing.nanoseconds = c.c.submitted, C.uint64_t(budget)
	n := c.cross()
	submitted = len(requests) - int(c.crossing.count)
	responses, err := c.collect(n)
	return submitted, responses, err
}

func (c *Client) collect(n C.int) ([]Response, error) {
	if n < 0 {
		return nil, c.failure(n)
	}
	c.harvested = c.harvested[:n]
	for i := range c.harvested {
		r, out := &c.crossing.responses[i], &c.harvested[i]
		out.ID, out.Status, out.Size = uint64(r.id), Status(r.status), int(min(r.size, math.MaxInt64))
		out.InCall = time.Duration(min(r.nanoseconds, math.MaxInt64))
		out.Text = ""
		if r.text_size > 0 {
			out.Text = C.GoStringN(&r.text[0], C.int(r.text_size))
		}
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
	C.fabric_abandon(&c.c.abandonment)
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
	C.free(unsafe.Pointer(c.crossing))
	c.c, c.crossing, c.broken = nil, nil, ErrBroken
	if c.release != nil {
		c.release()
	}
}
