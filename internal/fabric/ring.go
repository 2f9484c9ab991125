package fabric

// #include "fabric.h"
import "C"

import (
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// RingFiles are what a ring's executor needs: the memory and the two doorbells (eventfds). The
// client makes them with NewRing and passes copies on; they stay its own.
type RingFiles struct {
	Memory           *os.File
	ExecutorDoorbell *os.File
	ClientDoorbell   *os.File
}

func (f *RingFiles) close() {
	f.Memory.Close()
	f.ExecutorDoorbell.Close()
	f.ClientDoorbell.Close()
}

// RingClient is a Client with what it shares with the executor.
type RingClient struct {
	*Client
	Files  RingFiles
	memory *Memory
}

// NewRing makes the client's end of a ring. slots is a power of two, at most MaxSlots. maySleep
// says that the executor may fall asleep (its hot timeout is not "always").
func NewRing(slots int, maySleep bool) (*RingClient, error) {
	if err := checkSlots(slots); err != nil {
		return nil, err
	}
	memory, files, err := newRingFiles(int(C.wire_ring_size(C.uint32_t(slots))))
	if err != nil {
		return nil, err
	}
	closeAll := func(err error) error {
		return errors.Join(err, files.ExecutorDoorbell.Close(), files.ClientDoorbell.Close(), memory.Close())
	}
	sleep := C.int(0)
	if maySleep {
		sleep = 1
	}
	c := C.fabric_ring_client(unsafe.Pointer(&memory.bytes[0]), C.uint32_t(slots),
		C.int(descriptor(files.ExecutorDoorbell)), C.int(descriptor(files.ClientDoorbell)), sleep)
	if c == nil {
		return nil, closeAll(errors.New("fabric: out of memory"))
	}
	client, err := newClient(c, Path{Transport: Ring, Provider: "memfd"}, slots)
	if err != nil {
		return nil, closeAll(err)
	}
	return &RingClient{Client: client, Files: files, memory: memory}, nil
}

// newRingFiles makes memory that both ends map, and two doorbells. The memory's file is the
// memory's.
func newRingFiles(size int) (*Memory, RingFiles, error) {
	memory, err := NewMemory(Slots, size)
	if err != nil {
		return nil, RingFiles{}, err
	}
	if err := memory.Prefault(); err != nil {
		return nil, RingFiles{}, errors.Join(fmt.Errorf("fabric: touching a ring's slots: %w", err), memory.Close())
	}
	executorDoorbell, err := newDoorbell()
	if err != nil {
		return nil, RingFiles{}, errors.Join(err, memory.Close())
	}
	clientDoorbell, err := newDoorbell()
	if err != nil {
		return nil, RingFiles{}, errors.Join(err, executorDoorbell.Close(), memory.Close())
	}
	return memory, RingFiles{Memory: memory.File(), ExecutorDoorbell: executorDoorbell, ClientDoorbell: clientDoorbell}, nil
}

// Close frees both the client and the memory; the executor must have exited.
func (r *RingClient) Close() {
	r.Client.Close()
	r.Files.ExecutorDoorbell.Close()
	r.Files.ClientDoorbell.Close()
	r.memory.Close()
}

// newDoorbell makes an eventfd that goroutines can wait for.
func newDoorbell() (*os.File, error) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("fabric: a doorbell: %w", err)
	}
	return os.NewFile(uintptr(fd), "sublet-doorbell"), nil
}

// descriptor is the number of a file, for C, which must not outlive the file.
func descriptor(file *os.File) (number int) {
	number = -1
	_ = control(file, func(fd int) error { number = fd; return nil }) // a closed file has none
	return number
}
