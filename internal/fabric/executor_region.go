package fabric

// #include "fabric.h"
import "C"

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Map makes a region known to the executor's functions. On the ring, file is the region's memfd,
// which Map takes: it is mapped twice, read-only for inputs, because a re-run needs them intact,
// and writable for outputs unless it is a constant. Over libfabric file is nil, client says where
// outputs go, and the result where the client's writes to the region's mirror must go.
func (e *Executor) Map(region uint32, size uint64, readOnly bool, file *os.File, client RemoteMemory) (RemoteMemory, error) {
	if file != nil {
		defer file.Close()
	}
	if region == 0 || region >= MaxRegions {
		return RemoteMemory{}, fmt.Errorf("fabric: region %d; a session has at most %d", region, MaxRegions-1)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, taken := e.regions[region]; taken {
		return RemoteMemory{}, fmt.Errorf("fabric: region %d is mapped already", region)
	}
	if e.memory > 0 && (size > e.memory || e.held > e.memory-size) {
		return RemoteMemory{}, &MemoryLimit{Asked: size, Held: e.held, Limit: e.memory}
	}
	if file == nil {
		if e.mirrors == nil {
			return RemoteMemory{}, fmt.Errorf("fabric: region %d came without its memory", region)
		}
		mirror, err := e.mirrors.mirror(region, size, readOnly, client)
		if err == nil {
			e.regions[region] = &executorRegion{size: size}
			e.held += size
		}
		return mirror, err
	}
	mapped, err := mapRegion(file, size, readOnly)
	if err != nil {
		return RemoteMemory{}, fmt.Errorf("fabric: mapping region %d of %d bytes: %w", region, size, err)
	}
	mapped.size = size
	e.regions[region] = mapped
	e.held += size
	slot := &e.c.regions[region]
	slot.size = C.uint64_t(size)
	slot.input = (*C.uint8_t)(unsafe.Pointer(&mapped.input[0]))
	slot.output = nil
	if mapped.output != nil {
		slot.output = (*C.uint8_t)(unsafe.Pointer(&mapped.output[0]))
	}
	atomic.StoreUint32((*uint32)(unsafe.Pointer(&slot.mapped)), 1)
	return RemoteMemory{}, nil
}

func mapRegion(file *os.File, size uint64, readOnly bool) (*executorRegion, error) {
	if size > 1<<47 {
		return nil, errors.New("that is more than an address space")
	}
	if err := checkSize(file, size); err != nil {
		return nil, err
	}
	input, err := mapFile(file, int(size), unix.PROT_READ)
	if err != nil {
		return nil, err
	}
	if readOnly {
		// A constant is complete and will be read all over. Where the kernel does not know the
		// advice (before 5.14), its pages come when they are touched.
		_ = unix.Madvise(input[:len(input)-pageSize], unix.MADV_POPULATE_READ)
		return &executorRegion{input: input}, nil
	}
	output, err := mapFile(file, int(size), unix.PROT_READ|unix.PROT_WRITE)
	if err != nil {
		return nil, errors.Join(err, unix.Munmap(input))
	}
	return &executorRegion{input: input, output: output}, nil
}

// Unmap takes a region back; no invocation that names it may be in flight.
func (e *Executor) Unmap(region uint32) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	mapped, ok := e.regions[region]
	if !ok {
		return fmt.Errorf("fabric: region %d is not mapped", region)
	}
	delete(e.regions, region)
	e.held -= mapped.size
	atomic.StoreUint32((*uint32)(unsafe.Pointer(&e.c.regions[region].mapped)), 0)
	if mapped.input == nil {
		return e.mirrors.unmirror(region)
	}
	err := unix.Munmap(mapped.input)
	if mapped.output != nil {
		err = errors.Join(err, unix.Munmap(mapped.output))
	}
	return err
}
