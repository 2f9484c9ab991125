package fabric

// #include "fabric.h"
import "C"

import (
	"os"
	"unsafe"
)

// Bells wake the ends of a libfabric connection whose provider has no descriptor to sleep on: a
// page with a flag for each end, and a doorbell. The client makes them, and passes copies of
// Files to the executor.
type Bells struct {
	files    RingFiles
	memory   *Memory
	doorbell *os.File // our end
}

// NeedsBells tells whether a provider of libfabric has no descriptor to sleep on. Both ends are on
// one host then.
func NeedsBells(provider string) bool { return provider == SharedMemory }

// SharedMemory is libfabric's provider for two processes of one host.
const SharedMemory = "shm"

// NewBells makes doorbells for a connection with that many slots.
func NewBells(slots int) (*Bells, error) {
	memory, doorbell, files, err := newRingFiles(C.WIRE_RING_PAGE)
	if err != nil {
		return nil, err
	}
	b := &Bells{files: files, memory: memory, doorbell: doorbell}
	page := b.page()
	page.magic = C.WIRE_MAGIC
	page.version = C.WIRE_VERSION
	page.slots = C.uint32_t(slots)
	return b, nil
}

// Files are what the executor needs; see RingFiles for whose they are.
func (b *Bells) Files() RingFiles { return b.files }

func (b *Bells) page() *C.struct_wire_ring {
	return (*C.struct_wire_ring)(unsafe.Pointer(&b.memory.bytes[0]))
}

// Close frees them; the client is closed.
func (b *Bells) Close() {
	b.doorbell.Close()
	b.files.Doorbell.Close()
	b.memory.Close()
}

// openBells is the executor's side; it takes the files.
func openBells(files RingFiles, slots int) (page *C.struct_wire_ring, doorbell int, release func(), err error) {
	return openRing(files, C.WIRE_RING_PAGE, slots)
}
