package floor

// #include "floor.h"
import "C"

import (
	"encoding/binary"
	"errors"
	"time"
	"unsafe"
)

// Lines is the rank's end of two cache lines, one per direction, in memory that an executor has
// mapped, too.
type Lines struct {
	shared []byte
	last   *C.uint64_t
	room   *room
}

// LinesSize is how much memory Lines need for payloads of up to size bytes.
func LinesSize(size int) int { return int(C.floor_lines_size(C.uint64_t(size))) }

// NewLines takes zeroed, page-aligned memory of LinesSize bytes. A block has at most count round trips.
func NewLines(shared []byte, size, count int) (*Lines, error) {
	if len(shared) < LinesSize(size) {
		return nil, errors.New("floor: too little shared memory")
	}
	room, err := newRoom(size, count)
	if err != nil {
		return nil, err
	}
	return &Lines{shared: shared, last: new(C.uint64_t), room: room}, nil
}

// Call is the input of the function Serve for the next block. An executor that has been idle for
// hot sleeps; 0: it never does.
func (l *Lines) Call(b *Block, hot time.Duration) []byte {
	call := make([]byte, C.sizeof_struct_floor_lines_call)
	binary.NativeEndian.PutUint64(call, uint64(*l.last))
	binary.NativeEndian.PutUint64(call[8:], uint64(hot))
	if b.Touch && b.Window == 0 {
		binary.NativeEndian.PutUint32(call[16:], 1)
	}
	return call
}

// Run does a block with an executor that was called with Call, and ends that call. It appends each
// round trip's nanoseconds to samples.
func (l *Lines) Run(b *Block, hot time.Duration, samples []int64) ([]int64, error) {
	block, err := l.room.block(b)
	if err != nil {
		return samples, err
	}
	doze := C.int(0)
	if hot > 0 {
		doze = 1
	}
	if C.floor_lines_run(unsafe.Pointer(&l.shared[0]), l.last, doze, &block) < 0 {
		return samples, l.room.failure()
	}
	return l.room.collect(b, samples)
}

// Close frees what Run used; the shared memory stays its owner's.
func (l *Lines) Close() { l.room.free() }
