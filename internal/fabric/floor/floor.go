package floor

// #cgo CFLAGS: -std=gnu11 -O3 -Wall -Wextra -fno-strict-aliasing
// #cgo LDFLAGS: -ldl -lpthread
// #include <stdlib.h>
// #include <string.h>
// #include "floor.h"
import "C"

import (
	"errors"
	"fmt"
	"time"
	"unsafe"
)

// Names of the library's functions.
const (
	Echo  = "echo" // copies its input to its output
	Skip  = "skip" // touches nothing
	Work  = "work" // computes as many items as its input, 8 bytes, says
	Serve = "serve_lines"
	// ServePairs has several operations in flight.
	ServePairs = "serve_pairs"
	OpenOFI    = "open_ofi"
	ServeOFI   = "serve_ofi"
	TCP        = "serve_tcp"
	HTTP       = "serve_http"
)

// Block is some round trips.
type Block struct {
	Size   int           // bytes, there and back
	Count  int           // round trips
	Gap    time.Duration // of sleep before each
	Touch  bool          // copies the input in and the output out
	Window int           // one way: so many inputs have a place, and are in flight over libfabric; 0: ping-pong
	Batch  int           // of Pairs: a sample is the time of so many; 0: each is timed by itself
}

// room is what C reads and writes during blocks; outside the Go heap.
type room struct {
	size                int
	source, destination unsafe.Pointer
	samples             *C.uint64_t
	capacity            int // of samples
	text                *C.char
}

func newRoom(size, capacity int) (*room, error) {
	rounded := C.size_t(max(size, 64))
	r := &room{
		size: size, capacity: capacity, source: C.calloc(1, rounded), destination: C.calloc(1, rounded),
		samples: (*C.uint64_t)(C.calloc(C.size_t(max(capacity, 1)), 8)), text: (*C.char)(C.calloc(1, C.FLOOR_TEXT)),
	}
	if r.source == nil || r.destination == nil || r.samples == nil || r.text == nil {
		r.free()
		return nil, errors.New("floor: out of memory")
	}
	// Pages are there before anything is measured.
	C.memset(r.source, 1, rounded)
	C.memset(r.destination, 2, rounded)
	C.memset(unsafe.Pointer(r.samples), 0, C.size_t(capacity)*8)
	return r, nil
}

func (r *room) free() {
	for _, p := range []unsafe.Pointer{r.source, r.destination, unsafe.Pointer(r.samples), unsafe.Pointer(r.text)} {
		C.free(p)
	}
}

func (r *room) block(b *Block) (C.struct_floor_block, error) {
	if b.Size > r.size || b.Count > r.capacity {
		return C.struct_floor_block{}, fmt.Errorf("floor: %d round trips of %d bytes; there is room for %d of %d", b.Count, b.Size, r.capacity, r.size)
	}
	c := C.struct_floor_block{
		size: C.uint64_t(b.Size), count: C.uint64_t(b.Count), gap: C.uint64_t(b.Gap), batch: C.uint64_t(b.Batch), window: C.int(b.Window),
		source: r.source, destination: r.destination, samples: r.samples, text: r.text,
	}
	if b.Touch {
		c.touch = 1
	}
	return c, nil
}

// collect appends a block's samples, in nanoseconds. A floor that brings other bytes than it was
// given is none.
func (r *room) collect(b *Block, samples []int64) ([]int64, error) {
	if b.Touch && b.Window == 0 && b.Count > 0 && C.memcmp(r.source, r.destination, C.size_t(b.Size)) != 0 {
		return samples, fmt.Errorf("floor: of %d bytes other ones came back", b.Size)
	}
	for _, ns := range unsafe.Slice(r.samples, b.Count/max(b.Batch, 1)) {
		samples = append(samples, int64(ns))
	}
	return samples, nil
}

func (r *room) failure() error { return errors.New(C.GoString(r.text)) }

// Pause sleeps as a floor does between round trips, so that both wake alike: a goroutine that
// waits for a timer wakes later.
func Pause(d time.Duration) { C.floor_pause(C.uint64_t(d)) }

// Compute does so many items of the function Work here.
func Compute(items int) float64 { return float64(C.floor_work(C.uint64_t(items))) }
