package offload

import (
	"fmt"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/sublet-hpc/sublet/internal/fabric"
)

// region is a piece of the session's memory that executors can be given: the unit of mapping and
// of registering. Buffers lie in regions.
type region struct {
	owner   *regions // ids are those of one session
	id      uint32
	memory  *fabric.Memory
	base    uintptr // of the memory, for offsets
	purpose fabric.Purpose
	// used counts the blocks that lie in it.
	used int
	// next is where the next small buffer goes, for regions that hold several.
	next int
}

// block is what one buffer or constant has of a region.
type block struct {
	region *region
	offset int // bytes
	size   int // bytes
	// lent counts the invocations in flight that may use the block.
	lent atomic.Int32
	// freed is set once; who lends afterwards finds it.
	freed atomic.Bool
}

// bytes are the block's memory.
func (b *block) bytes() []byte {
	return b.region.memory.Bytes()[b.offset : b.offset+b.size : b.offset+b.size]
}

// regions is all the memory of a session. Small buffers share regions of chunkSize bytes; large
// ones, whose pages are worth a mapping of their own, each have one.
type regions struct {
	mu     sync.Mutex
	table  [fabric.MaxRegions]*region
	free   []uint32 // ids given back
	last   uint32   // highest id given out
	chunk  *region  // where small buffers go at present
	closed bool
	// forget is called, without the lock, for a region that is about to be closed.
	forget func(*region) error
}

const (
	chunkSize = 1 << 20
	// smallBuffer is the largest that shares a region.
	smallBuffer = 64 << 10
	// alignment of buffers: a cache line, so that two never share one.
	alignment = 64
)

// allocate returns a block of zeroed bytes.
func (r *regions) allocate(purpose fabric.Purpose, size int) (*block, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, classify(ErrClosed, "offload: the session is closed")
	}
	if purpose != fabric.Buffers || size > smallBuffer {
		owner, err := r.add(purpose, size)
		return &block{region: owner, size: size}, err
	}
	rounded := (max(size, 1) + alignment - 1) &^ (alignment - 1)
	if r.chunk == nil || r.chunk.next+rounded > chunkSize {
		chunk, err := r.add(purpose, chunkSize)
		if err != nil {
			return nil, err
		}
		chunk.used = 0
		r.chunk = chunk
	}
	b := &block{region: r.chunk, offset: r.chunk.next, size: size}
	r.chunk.next += rounded
	r.chunk.used++
	clear(b.bytes()) // it may have been used before
	return b, nil
}

// add makes a region that one block uses.
func (r *regions) add(purpose fabric.Purpose, size int) (*region, error) {
	var id uint32
	switch {
	case len(r.free) > 0:
		id = r.free[len(r.free)-1]
		r.free = r.free[:len(r.free)-1]
	case r.last < fabric.MaxRegions-1:
		r.last++
		id = r.last
	default:
		return nil, fmt.Errorf("offload: the session has %d buffers above %d KiB and constants, which is all it can have; Free some, or use parts of larger ones (Buffer.Sub)", fabric.MaxRegions-1, smallBuffer>>10)
	}
	memory, err := fabric.NewMemory(purpose, size)
	if err != nil {
		r.free = append(r.free, id)
		return nil, err
	}
	base := uintptr(unsafe.Pointer(unsafe.SliceData(memory.Bytes())))
	r.table[id] = &region{owner: r, id: id, memory: memory, base: base, purpose: purpose, used: 1}
	return r.table[id], nil
}

// release gives a block back. A second time does nothing.
func (r *regions) release(b *block) error {
	owner := b.region
	r.mu.Lock()
	if r.closed || !b.freed.CompareAndSwap(false, true) {
		r.mu.Unlock()
		return nil // Session.Close frees everything
	}
	if b.lent.Load() > 0 {
		b.freed.Store(false)
		r.mu.Unlock()
		return classify(ErrBufferBusy, "offload: an invocation that has not ended may still use this memory; Wait for its future before Free")
	}
	owner.used--
	if owner.used > 0 {
		r.mu.Unlock()
		return nil
	}
	if owner == r.chunk {
		owner.next = 0 // empty: start again at its beginning
		r.mu.Unlock()
		return nil
	}
	r.table[owner.id] = nil
	r.mu.Unlock()

	if err := r.forget(owner); err != nil {
		return err
	}
	err := owner.memory.Close()
	r.mu.Lock()
	r.free = append(r.free, owner.id) // only now: executors have forgotten the old one
	r.mu.Unlock()
	return err
}

// close frees all regions; no executor uses them any more.
func (r *regions) close() (err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	for id, owner := range &r.table {
		if owner != nil {
			if closeErr := owner.memory.Close(); err == nil {
				err = closeErr
			}
			r.table[id] = nil
		}
	}
	return err
}

// Payload is an input or an output: a *Buffer.
type Payload interface {
	// payload names the bytes and the block they lie in; nil for no bytes.
	payload() (fabric.Payload, *block)
}

// Buffer is memory of n values of type T that executors can read and write without a copy on the
// way. It lies outside the Go heap, starts on a cache line, and is zeroed.
//
// From Invoke until the future has ended, the executor owns what the invocation names: do not
// write the input, do not touch the output.
type Buffer[T any] struct {
	memory *regions
	block  *block
	values []T
	part   bool // of another buffer, which frees it
}

// Alloc returns a buffer of n values. T is a number, or an array or struct of numbers. Like
// make, it panics when n is negative or memory runs out; TryAlloc returns an error instead.
func Alloc[T any](s *Session, n int) *Buffer[T] {
	b, err := TryAlloc[T](s, n)
	if err != nil {
		panic(err)
	}
	return b
}

// TryAlloc is Alloc for programs that can do something about having no memory.
func TryAlloc[T any](s *Session, n int) (*Buffer[T], error) {
	if err := holdsNoPointers[T](); err != nil {
		return nil, err
	}
	var value T
	size := int(unsafe.Sizeof(value))
	if n < 0 || size > 0 && n > (1<<47)/size {
		return nil, fmt.Errorf("offload: a buffer of %d values of %d bytes", n, size)
	}
	owned, err := s.regions.allocate(fabric.Buffers, n*size)
	if err != nil {
		return nil, err
	}
	return &Buffer[T]{
		memory: &s.regions,
		block:  owned,
		values: unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(owned.bytes()))), n),
	}, nil
}

// Slice is the memory. It must not be used after Free or Session.Close.
func (b *Buffer[T]) Slice() []T { return b.values }

// Len is how many values the buffer holds.
func (b *Buffer[T]) Len() int { return len(b.values) }

// Sub is the part from value lo up to hi, as a payload for part of the work. It is freed with b.
func (b *Buffer[T]) Sub(lo, hi int) *Buffer[T] {
	return &Buffer[T]{memory: b.memory, block: b.block, values: b.values[lo:hi:hi], part: true}
}

// Free gives the memory back. It fails with ErrBufferBusy while an invocation that names the
// buffer has not ended. Session.Close frees what is left.
func (b *Buffer[T]) Free() error {
	if b.part {
		return nil
	}
	if err := b.memory.release(b.block); err != nil {
		return err
	}
	b.values = nil // the block stays: it says that the buffer was freed
	return nil
}

func (b *Buffer[T]) payload() (fabric.Payload, *block) {
	switch {
	case b == nil:
		return fabric.Payload{}, nil
	case len(b.values) == 0 && b.block.freed.Load():
		return fabric.Payload{}, b.block // lending it fails
	case len(b.values) == 0:
		return fabric.Payload{}, nil
	}
	address := unsafe.Pointer(&b.values[0])
	return fabric.Payload{
		Address: address,
		Size:    len(b.values) * int(unsafe.Sizeof(b.values[0])),
		Region:  b.block.region.id,
		Offset:  uint64(uintptr(address) - b.block.region.base),
	}, b.block
}
