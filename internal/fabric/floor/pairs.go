package floor

// #include "floor.h"
import "C"

import (
	"encoding/binary"
	"errors"
	"unsafe"
)

// Pairs are the rank's end of several pairs of cache lines, like Lines for operations in flight: as many as
// there are pairs.
type Pairs struct {
	shared []byte
	window int
	last   *C.uint64_t
	room   *room
}

// PairsSize is how much memory so many Pairs need for payloads of up to size bytes.
func PairsSize(size, window int) int {
	return int(C.floor_pairs_size(C.uint64_t(size), C.uint64_t(window)))
}

// NewPairs takes zeroed, page-aligned memory of PairsSize bytes. A block has at most count operations, and at
// least as many as there are pairs.
func NewPairs(shared []byte, size, window, count int) (*Pairs, error) {
	if len(shared) < PairsSize(size, window) {
		return nil, errors.New("floor: too little shared memory")
	}
	room, err := newRoom(size, count)
	if err != nil {
		return nil, err
	}
	return &Pairs{shared: shared, window: window, last: new(C.uint64_t), room: room}, nil
}

// Call is the input of the function ServePairs for the next block.
func (p *Pairs) Call(b *Block) []byte {
	call := make([]byte, C.sizeof_struct_floor_pairs_call)
	binary.NativeEndian.PutUint64(call, uint64(*p.last))
	binary.NativeEndian.PutUint32(call[8:], uint32(p.window))
	if b.Touch {
		binary.NativeEndian.PutUint32(call[12:], 1)
	}
	return call
}

// Run does a block with an executor that was called with Call, and ends that call. It appends nanoseconds to
// samples: each operation's from sending it to its answer, or with Batch the time of so many.
func (p *Pairs) Run(b *Block, samples []int64) ([]int64, error) {
	block, err := p.room.block(b)
	if err != nil {
		return samples, err
	}
	if b.Count < p.window {
		return samples, errors.New("floor: a block has fewer operations than are to be in flight")
	}
	block.window = C.int(p.window)
	if C.floor_pairs_run(unsafe.Pointer(&p.shared[0]), p.last, &block) < 0 {
		return samples, p.room.failure()
	}
	return p.room.collect(b, samples)
}

// Close frees what Run used; the shared memory stays its owner's.
func (p *Pairs) Close() { p.room.free() }
