package fabric

// #include <stdlib.h>
// #include <string.h>
// #include "fabric.h"
import "C"

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// DefaultStackSize of the thread that runs functions, in bytes; Fortran puts arrays there.
const DefaultStackSize = 64 << 20

// Executor is an executor process's side: its functions, its regions, and the loop. There is one
// per process, because signal handlers are the process's.
type Executor struct {
	c        *C.struct_fabric_executor
	page     []byte
	library  unsafe.Pointer
	mu       sync.Mutex
	endpoint *Endpoint // set while one is served
	mirrors  mirrorer  // set while there is an endpoint of libfabric's
	regions  map[uint32]*executorRegion
	memory   uint64 // most bytes of regions; 0: as many as there are
	held     uint64 // bytes of regions

	provisioned bool
}

// executorRegion is what has to be undone when a region is unmapped.
type executorRegion struct {
	size          uint64
	input, output []byte // mappings with their guard pages; nil if it is a mirror
}

// mirrorer is what a transport does on the executor's side for regions that can not be mapped.
type mirrorer interface {
	mirror(region uint32, size uint64, readOnly bool, client RemoteMemory) (RemoteMemory, error)
	unmirror(region uint32) error
}

// NewExecutor makes the process's executor; page is the stats page's memfd, which it takes.
func NewExecutor(page *os.File) (*Executor, error) {
	defer page.Close()
	var mapping []byte
	err := control(page, func(fd int) (err error) {
		var stat unix.Stat_t
		if err = unix.Fstat(fd, &stat); err != nil {
			return err
		}
		if stat.Size < C.sizeof_struct_stats_page {
			return fmt.Errorf("%d bytes are too few", stat.Size)
		}
		mapping, err = unix.Mmap(fd, 0, int(stat.Size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("fabric: mapping the stats page: %w", err)
	}
	c := (*C.struct_fabric_executor)(C.calloc(1, C.sizeof_struct_fabric_executor))
	if c == nil {
		return nil, errors.Join(errors.New("fabric: out of memory"), unix.Munmap(mapping))
	}
	c.page = (*C.struct_stats_page)(unsafe.Pointer(&mapping[0]))
	c.page.magic = C.WIRE_MAGIC
	c.page.version = C.WIRE_VERSION
	c.hot_nanoseconds = -1
	e := &Executor{c: c, page: mapping, regions: map[uint32]*executorRegion{}}
	if C.fabric_note_deaths(c) != C.FABRIC_OK {
		e.Close()
		return nil, errors.New("fabric: the handlers of fatal signals could not be installed")
	}
	return e, nil
}

// SetHotTimeout says how long the loop spins after the last invocation: negative for ever.
func (e *Executor) SetHotTimeout(d time.Duration) { e.c.hot_nanoseconds = C.int64_t(d) }

// Endpoint is an executor's end of one connection.
type Endpoint struct {
	c       *C.struct_fabric_endpoint
	ofi     bool   // libfabric's
	release func() // frees what the endpoint used, after it is closed; holds Executor.mu
}

// OpenRing makes the executor's end of a ring; it takes the files.
func (e *Executor) OpenRing(files RingFiles, slots int) (*Endpoint, error) {
	if err := checkSlots(slots); err != nil {
		files.close()
		return nil, err
	}
	ring, doorbell, release, err := openRing(files, int(C.wire_ring_size(C.uint32_t(slots))), slots)
	if err != nil {
		return nil, err
	}
	c := C.fabric_ring_endpoint(e.c, unsafe.Pointer(ring), C.uint32_t(slots), C.int(doorbell))
	if c == nil {
		release()
		return nil, errors.New("fabric: out of memory")
	}
	return &Endpoint{c: c, release: release}, nil
}

func checkSlots(slots int) error {
	if slots < 1 || slots > MaxSlots || slots&(slots-1) != 0 {
		return fmt.Errorf("fabric: %d slots; a power of two up to %d is needed", slots, MaxSlots)
	}
	return nil
}

// openRing maps a client's ring, or only the page of it that doorbells need, and says how to free
// it and the doorbell's descriptor; it takes the files.
func openRing(files RingFiles, size, slots int) (ring *C.struct_wire_ring, doorbell int, release func(), err error) {
	defer files.close()
	if err := checkSize(files.Memory, uint64(size)); err != nil {
		return nil, -1, nil, fmt.Errorf("fabric: the ring's memory: %w", err)
	}
	mapping, err := mapFile(files.Memory, size, unix.PROT_READ|unix.PROT_WRITE)
	if err == nil && size > C.WIRE_RING_PAGE {
		// Requests are the client's to write.
		err = unix.Mprotect(mapping[C.WIRE_RING_PAGE:C.wire_ring_responses(C.uint32_t(slots))], unix.PROT_READ)
	}
	if err != nil {
		return nil, -1, nil, fmt.Errorf("fabric: mapping the ring: %w", err)
	}
	// As a file it would be in the set that Go's poller waits for, and wake a thread beside the loop.
	if doorbell, err = duplicate(files.Doorbell); err != nil {
		return nil, -1, nil, errors.Join(fmt.Errorf("fabric: the ring's doorbell: %w", err), unix.Munmap(mapping))
	}
	release = func() {
		_ = unix.Munmap(mapping) // can only fail on arguments that mmap did not return
		_ = unix.Close(doorbell)
	}
	ring = (*C.struct_wire_ring)(unsafe.Pointer(&mapping[0]))
	if ring.magic != C.WIRE_MAGIC || ring.version != WireVersion || int(ring.slots) != slots {
		release()
		return nil, -1, nil, fmt.Errorf("fabric: the ring is of version %d with %d slots, this executor wants version %d with %d", ring.version, ring.slots, WireVersion, slots)
	}
	return ring, doorbell, release, nil
}

// checkSize refuses a memfd that is smaller than what was said: reading past its end is SIGBUS.
func checkSize(file *os.File, size uint64) error {
	return control(file, func(fd int) error {
		var stat unix.Stat_t
		if err := unix.Fstat(fd, &stat); err != nil {
			return err
		}
		if stat.Size < 0 || uint64(stat.Size) < size {
			return fmt.Errorf("%d bytes were announced, %d came", size, stat.Size)
		}
		return nil
	})
}

// Serve runs the loop on a thread of its own with a stack of that many bytes (0: the default)
// until Stop or the end of the client, and frees the endpoint and the mirrors of its client's
// regions. It returns nil after Stop and ErrBroken when the client went away.
func (e *Executor) Serve(endpoint *Endpoint, stackSize int64) error {
	if stackSize <= 0 {
		stackSize = DefaultStackSize
	}
	e.mu.Lock()
	if e.endpoint != nil {
		e.mu.Unlock()
		return errors.New("fabric: an executor serves one client at a time")
	}
	e.endpoint = endpoint
	e.mu.Unlock()

	text := (*C.char)(C.calloc(1, C.FABRIC_TEXT))
	defer C.free(unsafe.Pointer(text))
	result := C.fabric_serve(endpoint.c, C.uint64_t(stackSize), text)

	e.mu.Lock()
	e.endpoint = nil
	C.fabric_endpoint_close(endpoint.c)
	endpoint.release()
	e.mu.Unlock()
	switch result {
	case C.FABRIC_OK:
		return nil
	case C.FABRIC_BROKEN:
		if reason := C.GoString(text); reason != "" {
			return fmt.Errorf("%w: %s", ErrBroken, reason)
		}
		return ErrBroken
	}
	return errors.New("fabric: " + C.GoString(text))
}

// Progress tells which invocation was begun last, 0 for none, and whether its function still runs.
// It may be called beside Serve, which it does not disturb; while one invocation follows the other,
// the two answers may be of different ones.
func (e *Executor) Progress() (begun uint64, running bool) {
	begun = atomic.LoadUint64((*uint64)(unsafe.Pointer(&e.c.page.running_id)))
	state := atomic.LoadUint32((*uint32)(unsafe.Pointer(&e.c.page.state)))
	return begun, state == C.STATE_RUNNING
}

// Stop ends Serve when the function that runs has returned.
func (e *Executor) Stop() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.endpoint != nil {
		C.fabric_stop(e.c, e.endpoint.c)
	}
}

// Close frees what the executor holds; Serve must have returned.
func (e *Executor) Close() error {
	var errs []error
	for region := range e.regions {
		errs = append(errs, e.Unmap(region))
	}
	C.fabric_executor_free(e.c)
	e.c = nil
	// The stats page stays: a signal handler may use it as long as we live.
	return errors.Join(errs...)
}
