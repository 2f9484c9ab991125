package fabric

// #include "fabric.h"
import "C"

import (
	"errors"
	"unsafe"
)

// newTrial makes a client of ofi-send or ofi-write that is connected with nobody: arrives is what
// its network does. The tests fuzz it.
func newTrial(transport string, slots int) (*Client, error) {
	sends := C.int(0)
	if transport == OFISend {
		sends = 1
	}
	c := C.fabric_trial_client(sends, C.uint32_t(slots))
	if c == nil {
		return nil, errors.New("fabric: out of memory")
	}
	return newClient(c, Path{Transport: transport, Provider: "trial"}, slots)
}

// arrives makes bytes arrive, with a number if it is a write. It tells whether there was room.
func (c *Client) arrives(number uint32, bytes []byte) bool {
	return C.fabric_trial_arrives(c.c, C.uint32_t(number), unsafe.Pointer(unsafe.SliceData(bytes)), C.size_t(len(bytes))) != 0
}

// submitRaw sends a request whose bytes, but for the id, are the caller's, over libfabric.
func (c *Client) submitRaw(request []byte) (uint64, error) {
	if c.broken != nil {
		return 0, c.broken
	}
	if result := C.fabric_ofi_submit_raw(c.c, unsafe.Pointer(unsafe.SliceData(request)), C.size_t(len(request))); result < 0 {
		return 0, c.failure(result)
	}
	return uint64(c.c.submitted), nil
}
