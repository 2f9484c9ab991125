package hostile

import (
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/sublet-hpc/sublet/internal/fabric"
)

// The ring as wire.h lays it out.
const (
	page           = 4096
	requestStride  = 128
	responseStride = 512
	clientSleeps   = 128 // offset of the flag
)

// attack is what goes on beside the loop, in a ring's memory.
type attack struct {
	act      func(*attack)
	from     uint64
	slots    int
	ring     []byte // all of it, writable
	doorbell *os.File
	mu       sync.Mutex // of files
	files    []*os.File
	random   *rand.Rand
}

// Attacks are the names that Plan.Ring can have.
var Attacks = []string{"sizes", "statuses", "texts", "early", "stale", "flags", "noise", "doorbells", "shrink"}

var attacks = map[string]func(*attack){
	// The header changes between the client's check and its use.
	"sizes": func(a *attack) {
		for slot := range a.slots {
			a.store64(slot, 16, []uint64{8, 1 << 63, 1<<64 - 1, 33, 100_000}[a.random.IntN(5)])
		}
	},
	"statuses": func(a *attack) {
		for slot := range a.slots {
			a.store32(slot, 8, []uint32{0, 1, 1 << 31, 1<<32 - 1, 1<<32 - 3}[a.random.IntN(5)])
		}
	},
	"texts": func(a *attack) {
		for slot := range a.slots {
			a.store32(slot, 8, uint32(a.random.IntN(2)))
			a.store32(slot, 12, []uint32{0, 448, 449, 1 << 31, 1<<32 - 1}[a.random.IntN(5)])
		}
	},
	// Answers to what has not been asked yet.
	"early": func(a *attack) {
		last := a.last()
		for id := last + 1; id <= last+uint64(a.slots); id++ {
			slot := int(id) & (a.slots - 1)
			a.store64(slot, 16, 1<<64-1)
			a.store64(slot, 0, id)
		}
	},
	// Answers to what has been answered, or belongs into another slot. (Not to what is asked now: an
	// executor can answer that as it likes, also with what it has answered before.)
	"stale": func(a *attack) {
		last := a.last()
		for slot := range a.slots {
			a.store64(slot, 0, last-1-uint64(a.random.IntN(2*a.slots)))
		}
	},
	"flags": func(a *attack) {
		for at := 0; at < page; at += 8 {
			if at < clientSleeps || at >= clientSleeps+8 || a.random.IntN(2) == 0 {
				atomic.StoreUint64((*uint64)(unsafe.Pointer(&a.ring[at])), a.random.Uint64())
			}
		}
	},
	"noise": func(a *attack) {
		for range 64 {
			at := a.responses() + 8*a.random.IntN(a.slots*responseStride/8)
			atomic.StoreUint64((*uint64)(unsafe.Pointer(&a.ring[at])), a.random.Uint64())
		}
	},
	// It rings until there is no room for more, and wants the client to wait for room of its own.
	"doorbells": func(a *attack) {
		_ = unix.SetNonblock(number(a.doorbell), false)
		_, _ = unix.SendmsgN(number(a.doorbell), []byte{1}, nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
	},
	// What would end the rank with SIGBUS, if it could be done: when it can, that happens.
	"shrink": func(a *attack) {
		a.mu.Lock()
		defer a.mu.Unlock()
		for _, file := range a.files {
			_ = unix.Ftruncate(number(file), 0)
			_ = unix.Ftruncate(number(file), 1<<40)
			_ = unix.Fchmod(number(file), 0)
			_, _ = unix.FcntlInt(uintptr(number(file)), unix.F_ADD_SEALS, unix.F_SEAL_WRITE|unix.F_SEAL_SEAL)
		}
	},
}

// newAttack maps a ring once more; the files stay the caller's.
func newAttack(plan Plan, files fabric.RingFiles, slots int) (*attack, error) {
	a := &attack{act: attacks[plan.Ring], from: plan.From, slots: slots, random: rand.New(rand.NewPCG(1, 2))}
	if a.act == nil {
		return nil, fmt.Errorf("hostile: there is no attack %q", plan.Ring)
	}
	var stat unix.Stat_t
	if err := unix.Fstat(number(files.Memory), &stat); err != nil {
		return nil, err
	}
	var err error
	if a.ring, err = unix.Mmap(number(files.Memory), 0, int(stat.Size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		return nil, err
	}
	if a.doorbell, err = duplicate(files.Doorbell); err != nil {
		return nil, err
	}
	if err = a.region(files.Memory); err != nil {
		return nil, err
	}
	return a, nil
}

// number is a file's descriptor. (Fd would make the file blocking, for the client too.)
func number(file *os.File) (number int) {
	number = -1
	if raw, err := file.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { number = int(fd) }) // a closed file has none
	}
	return number
}

func duplicate(file *os.File) (*os.File, error) {
	fd, err := unix.FcntlInt(uintptr(number(file)), unix.F_DUPFD_CLOEXEC, 0)
	return os.NewFile(uintptr(fd), file.Name()), err
}

// region keeps a file of memory that the client uses.
func (a *attack) region(file *os.File) error {
	kept, err := duplicate(file)
	if err == nil {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.files = append(a.files, kept)
	}
	return err
}

// run attacks for ever, once the client trusts us.
func (a *attack) run() {
	pause := time.NewTicker(20 * time.Microsecond) // the one attacked may have to share our core
	defer pause.Stop()
	for range pause.C {
		if a.last() >= a.from {
			a.act(a)
		}
	}
}

// last is the id of the last request.
func (a *attack) last() (last uint64) {
	for slot := range a.slots {
		last = max(last, atomic.LoadUint64((*uint64)(unsafe.Pointer(&a.ring[page+slot*requestStride]))))
	}
	return last
}

func (a *attack) responses() int { return (page + a.slots*requestStride + page - 1) &^ (page - 1) }

func (a *attack) store64(slot, offset int, value uint64) {
	atomic.StoreUint64((*uint64)(unsafe.Pointer(&a.ring[a.responses()+slot*responseStride+offset])), value)
}

func (a *attack) store32(slot, offset int, value uint32) {
	atomic.StoreUint32((*uint32)(unsafe.Pointer(&a.ring[a.responses()+slot*responseStride+offset])), value)
}
