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

// RingFiles are what a ring's executor needs: the memory, and its end of the doorbell. The client
// makes them with NewRing and passes copies on. The memory stays its own; the doorbell's end it
// closes when it has passed it on, so that it hears when the executor closes it.
type RingFiles struct {
	Memory   *os.File
	Doorbell *os.File
}

func (f *RingFiles) close() {
	f.Memory.Close()
	f.Doorbell.Close()
}

// RingClient is a Client with what it shares with the executor.
type RingClient struct {
	*Client
	Files    RingFiles
	memory   *Memory
	doorbell *os.File // our end
}

// NewRing makes the client's end of a ring. slots is a power of two, at most MaxSlots. maySleep
// says that the executor may fall asleep (its hot timeout is not "always").
func NewRing(slots int, maySleep bool) (*RingClient, error) {
	if err := checkSlots(slots); err != nil {
		return nil, err
	}
	memory, doorbell, files, err := newRingFiles(int(C.wire_ring_size(C.uint32_t(slots))))
	if err != nil {
		return nil, err
	}
	closeAll := func(err error) error {
		return errors.Join(err, doorbell.Close(), files.Doorbell.Close(), memory.Close())
	}
	sleep := C.int(0)
	if maySleep {
		sleep = 1
	}
	c := C.fabric_ring_client(unsafe.Pointer(&memory.bytes[0]), C.uint32_t(slots), C.int(descriptor(doorbell)), sleep)
	if c == nil {
		return nil, closeAll(errors.New("fabric: out of memory"))
	}
	client, err := newClient(c, Path{Transport: Ring, Provider: "memfd"}, slots)
	if err != nil {
		return nil, closeAll(err)
	}
	client.near = newNearRing(memory.bytes, slots, maySleep)
	return &RingClient{Client: client, Files: files, memory: memory, doorbell: doorbell}, nil
}

// newRingFiles makes memory that both ends map, and a doorbell: our end of it, and what the executor
// needs. The memory's file is the memory's.
func newRingFiles(size int) (*Memory, *os.File, RingFiles, error) {
	memory, err := NewMemory(Slots, size)
	if err != nil {
		return nil, nil, RingFiles{}, err
	}
	if err := memory.Prefault(); err != nil {
		return nil, nil, RingFiles{}, errors.Join(fmt.Errorf("fabric: touching a ring's slots: %w", err), memory.Close())
	}
	ours, theirs, err := newDoorbell()
	if err != nil {
		return nil, nil, RingFiles{}, errors.Join(err, memory.Close())
	}
	return memory, ours, RingFiles{Memory: memory.File(), Doorbell: theirs}, nil
}

// Close frees both the client and the memory; the executor must have exited.
func (r *RingClient) Close() {
	r.Client.Close()
	r.doorbell.Close()
	r.Files.Doorbell.Close()
	r.memory.Close()
}

// newDoorbell makes the two ends of a doorbell (doorbell.h), for which goroutines can wait. Of
// sockets that keep messages apart, because streams have urgent data, which can be neither read as
// what it is nor ignored.
func newDoorbell() (ours, theirs *os.File, err error) {
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("fabric: a doorbell: %w (limit of open files: ulimit -n)", err)
	}
	for _, end := range ends {
		// As little room as the kernel lets them have: one ring wakes as well as many.
		err = errors.Join(err, unix.SetsockoptInt(end, unix.SOL_SOCKET, unix.SO_SNDBUF, 0))
	}
	ours, theirs = os.NewFile(uintptr(ends[0]), "sublet-doorbell"), os.NewFile(uintptr(ends[1]), "sublet-doorbell")
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("fabric: a doorbell: %w", err), ours.Close(), theirs.Close())
	}
	return ours, theirs, nil
}

// duplicate makes a descriptor of a file's, which the caller closes.
func duplicate(file *os.File) (number int, err error) {
	err = control(file, func(fd int) (err error) {
		number, err = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		return err
	})
	return number, err
}

// descriptor is the number of a file, for C, which must not outlive the file.
func descriptor(file *os.File) (number int) {
	number = -1
	_ = control(file, func(fd int) error { number = fd; return nil }) // a closed file has none
	return number
}
