package fabric

// #include "fabric.h"
import "C"

import (
	"errors"
	"fmt"
	"runtime"
	"sync"

	"github.com/sublet-hpc/sublet/internal/bytesize"
)

// MemoryLimit says that a region is more than the executor may have.
type MemoryLimit struct {
	Asked uint64 // bytes of the region
	Held  uint64 // bytes of the regions that the executor has
	Limit uint64 // bytes
}

func (e *MemoryLimit) Error() string {
	held := ""
	if e.Held > 0 {
		held = fmt.Sprintf(", of which buffers and constants have %s already", bytesize.Format(int64(e.Held)))
	}
	return fmt.Sprintf("%d bytes are more than its memory of %s allows%s", e.Asked, bytesize.Format(int64(e.Limit)), held)
}

const (
	// spareThreads and spareHeap are more than the Go runtime of an executor needs.
	spareThreads = 12
	spareHeap    = 32 << 20
	// largestSmall and smallSpan: values up to so many bytes lie in spans of so many.
	largestSmall = 1 << 10
	smallSpan    = 8 << 10
)

// SetMemory bounds, before Load, the sum of the regions, and by the same number of bytes what the
// library and its functions allocate; 0 sets no bound. Regions beyond it are refused, allocations fail.
func (e *Executor) SetMemory(bytes int64) error {
	if bytes < 0 {
		return fmt.Errorf("fabric: %d bytes of memory", bytes)
	}
	if bytes == 0 {
		return nil
	}
	if C.fabric_limit_possible() == 0 {
		return errors.New("fabric: what functions allocate can not be bounded: /proc/self/statm can not be read here")
	}
	e.memory = uint64(bytes)
	e.c.memory = C.uint64_t(bytes)
	return nil
}

// MakeRoom lets the process allocate a little, though functions may have left nothing, until done. One
// goroutine at a time does it.
func (e *Executor) MakeRoom() (done func()) {
	C.fabric_limit_room(1)
	return func() { C.fabric_limit_room(0) }
}

// Provision has the Go runtime take the threads and address space that it may want later: it ends the
// process when it can not have them, and functions may have left nothing. It takes most of a
// millisecond, so it comes when the manager has been told that the library is loaded, or before there is
// a lease. Without a bound there is no need of it.
func (e *Executor) Provision() {
	if e.provisioned {
		return
	}
	e.provisioned = true
	runtime.KeepAlive(make([]byte, spareHeap)) // given back to the heap, which keeps the addresses
	// The heap's books of each size of small values grow outside of it, when it has filled a few pages.
	for size := 16; size <= largestSmall; size += 16 {
		for range 3*smallSpan/size + 1 {
			runtime.KeepAlive(make([]byte, size))
			runtime.KeepAlive(make([]*byte, size/8))
		}
	}
	var started, ended sync.WaitGroup
	all := make(chan struct{})
	for range spareThreads {
		started.Add(1)
		ended.Go(func() {
			runtime.LockOSThread() // so that each has one
			defer runtime.UnlockOSThread()
			started.Done()
			<-all
		})
	}
	started.Wait()
	close(all)
	ended.Wait()
}
