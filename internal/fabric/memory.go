package fabric

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Purpose says what a Memory is for; Usage counts by it.
type Purpose int

// Purposes.
const (
	Slots     Purpose = iota // requests and responses
	Buffers                  // payloads of a session
	Constants                // constants of a session
	Mirrors                  // an executor's side of a session's regions
	purposes
)

func (p Purpose) String() string {
	return [...]string{"slots", "buffers", "constants", "mirrors"}[p]
}

var usage [purposes]struct{ count, bytes atomic.Int64 }

// Usage returns how many Memory of a purpose are open in this process, and their bytes.
func Usage(p Purpose) (count int, bytes int64) {
	return int(usage[p].count.Load()), usage[p].bytes.Load()
}

// Memory is a piece of memory outside the Go heap, most of it shared through a memfd. A page that can not be
// touched follows it, so that what writes past its end is caught there.
type Memory struct {
	purpose Purpose
	file    *os.File // nil: not shared
	mapping []byte   // with the guard page
	bytes   []byte
}

var pageSize = os.Getpagesize()

// roundUp rounds a size up to pages, of which there is one at least.
func roundUp(size int) int { return (max(size, 1) + pageSize - 1) &^ (pageSize - 1) }

// reserve returns a mapping of nothing, of a size rounded up to pages and one page more.
func reserve(size int) ([]byte, error) {
	if size < 0 || size > 1<<47 {
		return nil, fmt.Errorf("fabric: %d bytes of memory", size)
	}
	return unix.Mmap(-1, 0, roundUp(size)+pageSize, unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE)
}

// mapFile maps the first bytes of a memfd in front of a guard page.
func mapFile(file *os.File, size, protection int) ([]byte, error) {
	mapping, err := reserve(size)
	if err != nil {
		return nil, err
	}
	err = control(file, func(fd int) error {
		length := len(mapping) - pageSize
		_, err := unix.MmapPtr(fd, 0, unsafe.Pointer(&mapping[0]), uintptr(length), protection, unix.MAP_SHARED|unix.MAP_FIXED)
		return err
	})
	if err == nil {
		// A child of the rank, or of a function, must not keep these pages alive or write to them.
		err = unix.Madvise(mapping[:len(mapping)-pageSize], unix.MADV_DONTFORK)
	}
	if err != nil {
		return nil, errors.Join(err, unix.Munmap(mapping))
	}
	return mapping, nil
}

// control calls f with the descriptor of a file, without making the file blocking as Fd does.
func control(file *os.File, f func(fd int) error) error {
	raw, err := file.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	if err := raw.Control(func(fd uintptr) { inner = f(int(fd)) }); err != nil {
		return err
	}
	return inner
}

// NewMemory makes zeroed memory of size bytes. Its memfd is sealed: no one who gets it can shrink
// it, which would end the process with SIGBUS.
func NewMemory(purpose Purpose, size int) (*Memory, error) {
	fd, err := unix.MemfdCreate("sublet-"+purpose.String(), unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, fmt.Errorf("fabric: memfd_create for %d bytes of %s: %w (limit of open files: ulimit -n)", size, purpose, err)
	}
	file := os.NewFile(uintptr(fd), "sublet-"+purpose.String())
	if err := unix.Ftruncate(fd, int64(roundUp(size))); err != nil {
		file.Close()
		return nil, fmt.Errorf("fabric: %d bytes of %s: %w", size, purpose, err)
	}
	seals := unix.F_SEAL_SHRINK | unix.F_SEAL_GROW
	if purpose != Constants { // Seal adds to theirs
		seals |= unix.F_SEAL_SEAL
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals); err != nil {
		file.Close()
		return nil, fmt.Errorf("fabric: sealing %s: %w", purpose, err)
	}
	mapping, err := mapFile(file, size, unix.PROT_READ|unix.PROT_WRITE)
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("fabric: mapping %d bytes of %s: %w", size, purpose, err)
	}
	return newMemory(purpose, file, mapping, size), nil
}

// newPrivateMemory makes zeroed memory that no other process maps; only a NIC may write to it.
func newPrivateMemory(purpose Purpose, size int) (*Memory, error) {
	mapping, err := reserve(size)
	if err != nil {
		return nil, fmt.Errorf("fabric: %d bytes of %s: %w", size, purpose, err)
	}
	pages := mapping[:len(mapping)-pageSize]
	if err = unix.Mprotect(pages, unix.PROT_READ|unix.PROT_WRITE); err == nil {
		err = unix.Madvise(pages, unix.MADV_DONTFORK)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("fabric: %d bytes of %s: %w", size, purpose, err), unix.Munmap(mapping))
	}
	// The first touch is what costs, a third of it with huge pages; some kernels have none.
	_ = unix.Madvise(pages, unix.MADV_HUGEPAGE)
	return newMemory(purpose, nil, mapping, size), nil
}

func newMemory(purpose Purpose, file *os.File, mapping []byte, size int) *Memory {
	usage[purpose].count.Add(1)
	usage[purpose].bytes.Add(int64(size))
	return &Memory{purpose: purpose, file: file, mapping: mapping, bytes: mapping[:size:size]}
}

// Bytes is the memory.
func (m *Memory) Bytes() []byte { return m.bytes }

// File is the memfd, to be passed on; it stays m's.
func (m *Memory) File() *os.File { return m.file }

// Seal makes a constant unchangeable for all who get its file from now on: they can neither write
// to it nor map it writable. Kernels before 5.1 can not promise that; there the executor's own
// read-only mapping has to do.
func (m *Memory) Seal() {
	_ = control(m.file, func(fd int) error {
		_, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_FUTURE_WRITE|unix.F_SEAL_SEAL)
		return err
	})
}

// Prefault touches every page, so that the data path does not pay for it.
func (m *Memory) Prefault() error {
	if len(m.bytes) == 0 {
		return nil
	}
	err := unix.Madvise(m.mapping[:len(m.mapping)-pageSize], unix.MADV_POPULATE_WRITE)
	if !errors.Is(err, unix.EINVAL) {
		return err
	}
	// Linux before 5.14 does not know it. Nobody else writes yet: what is read can be written back.
	for i := 0; i < len(m.bytes); i += pageSize {
		b := (*uint32)(unsafe.Pointer(&m.mapping[i]))
		atomic.StoreUint32(b, atomic.LoadUint32(b))
	}
	return nil
}

// Close gives the memory back; nothing may use it any more. A second Close does nothing.
func (m *Memory) Close() error {
	if m.mapping == nil {
		return nil
	}
	usage[m.purpose].count.Add(-1)
	usage[m.purpose].bytes.Add(-int64(len(m.bytes)))
	err := unix.Munmap(m.mapping)
	if m.file != nil {
		err = errors.Join(err, m.file.Close())
	}
	m.mapping, m.bytes = nil, nil
	return err
}
