package offload

import (
	"time"

	"github.com/sublet-hpc/sublet/resources/api"
)

// Hot timeouts that are no durations.
const (
	// AlwaysHot: executors spin until the lease ends.
	AlwaysHot time.Duration = -1
	// NeverHot: executors sleep between any two invocations.
	NeverHot time.Duration = -2
	// DefaultHotTimeout is used where a Want does not say.
	DefaultHotTimeout = 100 * time.Millisecond
)

// Want says what a lease is to be.
type Want struct {
	// Executors is how many, at least 1. Each is a process on a core of its own.
	Executors int
	// CoresPerExecutor is how many cores of one node each executor has, for functions that start threads of their
	// own: these may run on all of them, and OMP_NUM_THREADS, OPENBLAS_NUM_THREADS and MKL_NUM_THREADS are as many.
	// An executor still runs one function at a time. 0: 1. With more than 1 there is no Oversubscribe.
	CoresPerExecutor int
	// Library is the path of the function library.
	Library string
	// HotTimeout is how long an executor spins after an invocation before it sleeps (waking takes
	// some 50 µs), and how long Wait spins. 0: DefaultHotTimeout; AlwaysHot; NeverHot.
	HotTimeout time.Duration
	// Oversubscribe takes executors that share cores with ranks, or with each other, where there
	// are no free cores, instead of failing with ErrNoCapacity. Executor.Oversubscribed tells. It is refused
	// with CoresPerExecutor: threads that share their cores with others hold each other up.
	Oversubscribe bool
	// Environment are NAME=VALUE pairs that the functions see.
	Environment []string
	// StackSize of the thread that runs functions, in bytes. 0: 64 MiB.
	StackSize int64
	// Memory is how many bytes each executor may use: for the session's buffers and constants that it
	// maps or mirrors together, and as much again for what its functions allocate. What goes beyond is
	// refused with ErrPayloadTooLarge, or an allocation fails. 0: a share of the node's memory, equal
	// for each of its cores, of which an executor of several has theirs. At least MinMemory; more than any
	// node has is ErrNoCapacity.
	Memory int64
	// TimeLimit is after which time the lease ends, wherever its executors are: they are ended, invocations fail
	// with ExecutorLost (Cause LostTimeLimit), and no others take their place; Split goes on with its own cores.
	// 0: it lasts until Release.
	TimeLimit time.Duration
	// NotRepeatable says that running a function twice with the same input does harm: what is lost
	// with an executor is reported, and never run again.
	NotRepeatable bool
	// Placement says how the executors are divided between nodes, where there are several: Pack, on as few as
	// will do, or Spread, evenly on as many as will do. Empty: Pack.
	Placement Placement
	// Wait is how long to wait for cores that others have. 0: not at all; ErrNoCapacity says who has
	// them.
	Wait time.Duration
	// Account is who pays, where a resource manager keeps a bill. Empty: SUBLET_ACCOUNT, else Slurm's
	// account of the job, else "default".
	Account string
}

// Placement says how executors are divided between nodes.
type Placement = api.Placement

// Placements.
const (
	Pack   = api.Pack
	Spread = api.Spread
)

// MinMemory is the least that Want.Memory can be, in bytes.
const MinMemory = api.MinMemory

// cores is how many each executor has.
func (w *Want) cores() int { return max(w.CoresPerExecutor, 1) }

// hot is the hot timeout as the executor wants it, and how long a client spins.
func (w *Want) hot() time.Duration {
	switch {
	case w.HotTimeout == 0:
		return DefaultHotTimeout
	case w.HotTimeout == NeverHot:
		return 0
	}
	return w.HotTimeout
}
