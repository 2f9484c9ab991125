// Package statspage reads an executor's stats page: one shared page that the executor writes and
// its manager maps read-only. Bill, metrics and the reason of a death are all read from it.
//
// The page is a memfd that the manager makes ([New]) and passes to the executor. What stands in
// it is the executor's word: [Page.Read] copies it once and the reader checks what it uses. The
// layout is that of struct stats_page in internal/fabric's wire.h.
package statspage

import (
	"encoding/binary"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// Size of the page in bytes.
	Size = 4096
	// Magic and Version are written by the executor when it starts.
	Magic   = 0x31544c4255530a0d
	Version = 1
)

// Offsets in the page.
const (
	OffsetMagic          = 0
	OffsetVersion        = 8
	OffsetState          = 12
	OffsetFunction       = 16
	OffsetSignal         = 20
	OffsetFaultAddress   = 24
	OffsetInvocations    = 32
	OffsetRunningID      = 40
	OffsetComputeTicks   = 48
	OffsetHotTicks       = 56
	OffsetTicksPerSecond = 64
	OffsetExitCalled     = 72
	OffsetOutOfMemory    = 76
	OffsetName           = 80
	nameSize             = 128
)

// State is what an executor is doing.
type State uint32

// States of an executor; executors/executor draws the changes.
const (
	Starting State = iota
	Hot
	Warm
	Running
	Ended
)

func (s State) String() string {
	switch s {
	case Starting:
		return "starting"
	case Hot:
		return "hot"
	case Warm:
		return "warm"
	case Running:
		return "running"
	case Ended:
		return "ended"
	}
	return fmt.Sprintf("state %d", uint32(s))
}

// Stats is a copy of a page.
type Stats struct {
	Initialized  bool // the executor has come as far as writing its page
	State        State
	Signal       int    // the fatal signal, 0 for none
	FaultAddress uint64 // of SIGSEGV and SIGBUS
	Invocations  uint64 // ended
	RunningID    uint64
	ComputeTicks uint64
	HotTicks     uint64
	TicksPerSec  uint64
	ExitCalled   bool
	OutOfMemory  bool   // it came to the end of its memory, and died of that
	Function     string // the name of the function that died, empty if none did
}

// Page is the manager's mapping of a page. Read is safe beside Close.
type Page struct {
	mu     sync.Mutex
	memory []byte
}

// New makes a page: its mapping, and the file to pass to the executor, which the caller closes.
func New() (*Page, *os.File, error) {
	fd, err := unix.MemfdCreate("sublet-stats", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, nil, fmt.Errorf("stats page: memfd_create: %w", err)
	}
	file := os.NewFile(uintptr(fd), "sublet-stats")
	if err := unix.Ftruncate(fd, Size); err != nil {
		file.Close()
		return nil, nil, fmt.Errorf("stats page: ftruncate: %w", err)
	}
	// Without the seals an executor could truncate the page and end its manager with SIGBUS.
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_SEAL); err != nil {
		file.Close()
		return nil, nil, fmt.Errorf("stats page: sealing: %w", err)
	}
	memory, err := unix.Mmap(fd, 0, Size, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		file.Close()
		return nil, nil, fmt.Errorf("stats page: mmap: %w", err)
	}
	return &Page{memory: memory}, file, nil
}

// Close unmaps the page; Read then returns the zero Stats.
func (p *Page) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.memory == nil {
		return nil
	}
	err := unix.Munmap(p.memory)
	p.memory = nil
	return err
}

// Read copies the page.
func (p *Page) Read() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.memory == nil {
		return Stats{}
	}
	u32 := func(offset int) uint32 {
		return atomic.LoadUint32((*uint32)(unsafe.Pointer(&p.memory[offset])))
	}
	u64 := func(offset int) uint64 {
		return atomic.LoadUint64((*uint64)(unsafe.Pointer(&p.memory[offset])))
	}
	stats := Stats{
		Initialized:  u64(OffsetMagic) == Magic && u32(OffsetVersion) == Version,
		State:        State(u32(OffsetState)),
		Signal:       int(u32(OffsetSignal)),
		FaultAddress: u64(OffsetFaultAddress),
		Invocations:  u64(OffsetInvocations),
		RunningID:    u64(OffsetRunningID),
		ComputeTicks: u64(OffsetComputeTicks),
		HotTicks:     u64(OffsetHotTicks),
		TicksPerSec:  u64(OffsetTicksPerSecond),
		ExitCalled:   u32(OffsetExitCalled) != 0,
		OutOfMemory:  u32(OffsetOutOfMemory) != 0,
	}
	name := make([]byte, nameSize)
	for i := 0; i < nameSize; i += 4 {
		binary.NativeEndian.PutUint32(name[i:], u32(OffsetName+i))
	}
	for i, b := range name {
		if b == 0 {
			name = name[:i]
			break
		}
	}
	stats.Function = printable(name)
	return stats
}

// printable keeps what can stand in a C identifier: the rest never comes from us.
func printable(name []byte) string {
	out := make([]byte, 0, len(name))
	for _, b := range name {
		if b == '_' || b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b == '.' || b == '$' {
			out = append(out, b)
		}
	}
	return string(out)
}
