package fabric

// #include <stdlib.h>
// #include "fault.h"
import "C"

import (
	"errors"
	"time"
	"unsafe"
)

// FaultKind is what a Fault does to a message.
type FaultKind uint32

// Kinds of faults.
const (
	Drop      FaultKind = C.FAULT_DROP      // it never comes
	Delay     FaultKind = C.FAULT_DELAY     // it comes later, and so does what is behind it
	Duplicate FaultKind = C.FAULT_DUPLICATE // it comes twice
	Truncate  FaultKind = C.FAULT_TRUNCATE  // only its first bytes come
	Corrupt   FaultKind = C.FAULT_CORRUPT   // a byte of its header comes inverted
	Break     FaultKind = C.FAULT_BREAK     // the connection breaks instead
)

func (k FaultKind) String() string {
	return [...]string{"", "drop", "delay", "duplicate", "truncate", "corrupt", "break"}[k]
}

// Fault is what happens to one message of a connection: for tests of what stands on a transport. A
// client's faults change its requests before they are written, and responses where they have
// landed; an executor's change its responses before they are written.
type Fault struct {
	Invocation uint64 // its id
	Response   bool   // else its request
	Kind       FaultKind
	For        time.Duration // Delay
	// Byte is which one of the header is inverted (Corrupt), or how many are left of the payload
	// of a request or of a whole response (Truncate).
	//
	// A response's header: id 0-7, status 8-11, size of the text 12-15, size of the output 16-23. A
	// request's: id 0-7, function 8-11, region of the input 12-15, size of the input 16-23,
	// capacity of the output 24-31, offset of the input 32-39, of the output 40-47.
	Byte int
}

// Inject makes faults happen to a client that has submitted nothing yet.
func (c *Client) Inject(faults []Fault) error {
	if c.Submitted() > 0 || c.c.faults != nil {
		return errors.New("fabric: faults come before the first invocation, and once")
	}
	c.near = nil // they happen in C
	return withFaults(faults, func(f *C.struct_fabric_fault, n C.uint32_t) C.int { return C.fabric_fault_client(c.c, f, n) })
}

// Struck is how many of the faults have happened.
func (c *Client) Struck() int { return int(C.fabric_fault_struck(c.c)) }

// Inject makes faults happen to the responses of an endpoint that is not served yet.
func (e *Endpoint) Inject(faults []Fault) error {
	ofi := C.int(0)
	if e.ofi {
		ofi = 1
	}
	return withFaults(faults, func(f *C.struct_fabric_fault, n C.uint32_t) C.int { return C.fabric_fault_endpoint(e.c, ofi, f, n) })
}

func withFaults(faults []Fault, inject func(*C.struct_fabric_fault, C.uint32_t) C.int) error {
	if len(faults) == 0 {
		return nil
	}
	memory := C.calloc(C.size_t(len(faults)), C.sizeof_struct_fabric_fault)
	if memory == nil {
		return errors.New("fabric: out of memory")
	}
	defer C.free(memory)
	plan := unsafe.Slice((*C.struct_fabric_fault)(memory), len(faults))
	for i, fault := range faults {
		out := &plan[i]
		out.id = C.uint64_t(fault.Invocation)
		out.kind = C.uint32_t(fault.Kind)
		if fault.Response {
			out.direction = 1
		}
		out.parameter = C.uint64_t(fault.Byte)
		if fault.Kind == Delay {
			out.parameter = C.uint64_t(fault.For)
		}
	}
	if inject((*C.struct_fabric_fault)(memory), C.uint32_t(len(faults))) < 0 {
		return errors.New("fabric: out of memory")
	}
	return nil
}
