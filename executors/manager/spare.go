package manager

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/sublet-hpc/sublet/internal/control"
)

// spare is one executor of the pool.
type spare struct {
	*instance
	program identity
	cpus    []int // those of the core that it has been started on
	network bool
	ready   bool          // the pool's
	settled chan struct{} // closed when it is ready, or has failed
	failure error         // set before
	taken   chan struct{} // closed when a lease has it
}

func (s *spare) isOn(cpus []int) bool { return slices.Equal(s.cpus, cpus) }

// awaitReady receives what a spare says first.
func (i *instance) awaitReady() error {
	defer i.bounded()()
	frame, err := i.conn.Receive()
	if err != nil {
		return err
	}
	defer frame.Close()
	if err := frame.Decode(nil); err != nil {
		return err
	}
	if frame.Type != control.TypeReady {
		return &control.ProtocolError{Reason: "a spare executor begins with " + frame.Type}
	}
	return nil
}

// atStart begin the names of variables that are read when a process starts, by the dynamic linker, the C
// library or the Go runtime, or when libfabric and what it stands on are loaded.
var atStart = []string{"LD_", "GLIBC_", "MALLOC_", "GODEBUG", "GOGC", "GOMAXPROCS", "GOMEMLIMIT", "GOTRACEBACK", "FI_", "PSM", "HFI_", "IPATH_", "IBV_", "RDMAV_", "MLX", "NUMA_"}

// fits tells whether a process that has started can serve a lease with this environment. All else that
// a lease says can be told to it.
func fits(environment []string) bool {
	return !slices.ContainsFunc(environment, func(variable string) bool {
		return slices.ContainsFunc(atStart, func(prefix string) bool { return strings.HasPrefix(variable, prefix) })
	})
}

// identity tells versions of a program apart.
type identity struct {
	device, file uint64
	size         int64
	changed      unix.Timespec
	regular      bool
}

func identify(path string) (identity, error) {
	var stat unix.Stat_t
	if err := unix.Stat(path, &stat); err != nil {
		return identity{}, fmt.Errorf("%s: %w", path, err)
	}
	return identity{stat.Dev, stat.Ino, stat.Size, stat.Ctim, stat.Mode&unix.S_IFMT == unix.S_IFREG}, nil
}

// errSpareEnded says that a spare has ended when its lease began; another process may do.
var errSpareEnded = errors.New("the spare executor has ended")
