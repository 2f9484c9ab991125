package fabric

// #include <stdlib.h>
// #include "fabric.h"
import "C"

import (
	"errors"
	"fmt"
	"os"
	"unsafe"
)

// OFIListen says where an executor awaits its client.
type OFIListen struct {
	// Transport is OFIWrite, which is the default, or OFISend.
	Transport string
	// Provider is libfabric's name of it: "tcp", "verbs". Empty: what libfabric names first.
	Provider string
	// Address is one of this node's network addresses or host names. Empty: libfabric's choice.
	Address string
	// Nonce is what the client will prove itself with: NonceSize bytes.
	Nonce []byte
	// Slots is a power of two, at most MaxSlots.
	Slots int
	// Bells are the files of the client's Bells, if it has sent them; ListenOFI takes them.
	Bells *RingFiles
}

// ListenOFI makes the executor's end of an ofi-write or ofi-send connection and returns at once: with the
// endpoint to Serve, and the name to send to the client. Serve accepts the first client that knows
// the nonce and refuses all others; until it comes, the loop is hot and then sleeps as ever.
//
// Regions can be mapped as soon as ListenOFI has returned. What is mapped is a mirror: memory of
// this process into which the client writes inputs and constants, and from which outputs go back.
// It is freed by Unmap, or when Serve returns.
func (e *Executor) ListenOFI(o OFIListen) (*Endpoint, []byte, error) {
	setUpLibfabric()
	if o.Transport == "" {
		o.Transport = OFIWrite
	}
	unhang := func() {}
	var page *C.struct_wire_ring
	var doorbell int
	if o.Bells != nil {
		var err error
		if page, doorbell, unhang, err = openBells(*o.Bells, o.Slots); err != nil {
			return nil, nil, err
		}
	}
	slots, err := newOFISlots(o.Transport, o.Provider, o.Nonce, o.Slots)
	if err != nil {
		unhang()
		return nil, nil, err
	}
	defer slots.freeArguments()
	if o.Bells != nil {
		slots.hang(page, doorbell)
	}
	address := C.CString(o.Address)
	defer C.free(unsafe.Pointer(address))
	name := (*C.uint8_t)(C.calloc(1, C.FABRIC_OFI_NAME))
	defer C.free(unsafe.Pointer(name))
	var size C.size_t

	e.mu.Lock()
	defer e.mu.Unlock()
	if e.mirrors != nil {
		slots.close()
		unhang()
		return nil, nil, errors.New("fabric: an executor serves one client at a time")
	}
	result := &slots.result
	c := C.fabric_ofi_listen(e.c, slots.options, address, name, &size, &result.provider[0], &result.text[0])
	if c == nil {
		slots.close()
		unhang()
		return nil, nil, fmt.Errorf("fabric: listening at %q with provider %q: %s", o.Address, o.Provider, C.GoString(&result.text[0]))
	}
	mirrors := &ofiMirrors{endpoint: c, memory: map[uint32]*Memory{}}
	e.mirrors = mirrors
	release := func() {
		e.mirrors = nil
		for region, memory := range mirrors.memory {
			e.held -= e.regions[region].size
			delete(e.regions, region)
			_ = closeMirror(memory) // can only fail on what mmap did not return
		}
		slots.close()
		unhang()
	}
	return &Endpoint{c: c, ofi: true, release: release}, C.GoBytes(unsafe.Pointer(name), C.int(size)), nil
}

// PreloadLibfabric is the package's, in an executor: ahead of ListenOFI.
func (e *Executor) PreloadLibfabric() {
	setUpLibfabric()
	PreloadLibfabric()
}

// setUpLibfabric says what libfabric is to do in an executor: the process is ours alone, and registers
// only memory that it unregisters before it frees it, so that libfabric need not watch what functions
// allocate. (A rank's environment is its MPI's.)
func setUpLibfabric() {
	if os.Getenv("FI_MR_CACHE_MONITOR") == "" {
		os.Setenv("FI_MR_CACHE_MONITOR", "disabled")
	}
}

// ofiMirrors are an executor's copies of its client's regions. Executor.mu is held.
type ofiMirrors struct {
	endpoint *C.struct_fabric_endpoint
	memory   map[uint32]*Memory
}

func (m *ofiMirrors) mirror(region uint32, size uint64, readOnly bool, client RemoteMemory) (RemoteMemory, error) {
	if size > 1<<47 {
		return RemoteMemory{}, fmt.Errorf("fabric: region %d of %d bytes: that is more than an address space", region, size)
	}
	memory, err := newMirror(size)
	if err != nil {
		return RemoteMemory{}, err
	}
	constant := C.int(0)
	if readOnly {
		constant = 1
	}
	var address, key C.uint64_t
	text := (*C.char)(C.calloc(1, C.FABRIC_TEXT))
	defer C.free(unsafe.Pointer(text))
	if C.fabric_ofi_mirror(m.endpoint, C.uint32_t(region), unsafe.Pointer(&memory.mapping[0]), C.uint64_t(size), constant,
		C.uint64_t(client.Address), C.uint64_t(client.Key), &address, &key, text) < 0 {
		return RemoteMemory{}, errors.Join(fmt.Errorf("fabric: mirroring region %d: %s", region, C.GoString(text)), closeMirror(memory))
	}
	m.memory[region] = memory
	return RemoteMemory{Address: uint64(address), Key: uint64(key)}, nil
}

func (m *ofiMirrors) unmirror(region uint32) error {
	C.fabric_ofi_unmirror(m.endpoint, C.uint32_t(region))
	memory := m.memory[region]
	delete(m.memory, region)
	return closeMirror(memory)
}

// newMirror makes a mirror's memory, which the functions' bound does not count.
func newMirror(size uint64) (*Memory, error) {
	bytes := C.uint64_t(roundUp(int(size)))
	C.fabric_limit_announce(bytes)
	memory, err := newPrivateMemory(Mirrors, int(size))
	if err != nil {
		C.fabric_limit_withdraw(bytes)
		return nil, err
	}
	C.fabric_limit_mapped(bytes)
	return memory, nil
}

func closeMirror(memory *Memory) error {
	bytes := C.uint64_t(roundUp(len(memory.bytes)))
	err := memory.Close()
	C.fabric_limit_unmapped(bytes)
	return err
}
