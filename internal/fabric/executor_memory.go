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
	spareThreads = 8
	spareHeap    = 32 << 20
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

// elbowRoom is what answering a request may take for a moment, in bytes.
const elbowRoom = 4 << 20

// MakeRoom lets the process allocate a little, though functions may have left nothing, until done.
func (e *Executor) MakeRoom() (done func()) {
	C.fabric_limit_announce(elbowRoom)
	return func() { C.fabric_limit_withdraw(elbowRoom) }
}

// Provision has the Go runtime take the threads and address space that it may want later: it ends the
// process when it can not have them, and functions may have left nothing. It takes most of a
// millisecond, so it comes when the manager has been told that the library is loaded.
func (e *Executor) Provision() {
	if e.memory == 0 {
		return
	}
	runtime.KeepAlive(make([]byte, spareHeap)) // given back to the heap, which keeps the addresses
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
