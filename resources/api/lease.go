package api

import (
	"iter"
	"slices"
	"time"
)

// NoCore is the Core of an executor that is pinned to none.
const NoCore = -1

// Lease is the right to some executors, on one or more nodes, for a time.
type Lease struct {
	ID   string `json:"id"`
	UID  int    `json:"uid"`
	User string `json:"user"`
	// Account is who pays.
	Account string `json:"account,omitempty"`
	// Executors in the order of their indices.
	Executors []Executor `json:"executors"`
	Granted   time.Time  `json:"granted"`
	// Expires is when the lease ends unless it is renewed before; zero: it does not expire.
	Expires time.Time `json:"expires,omitzero"`
	// Until is when the lease ends however often it is renewed: its time limit is over. Zero: it has none.
	Until time.Time `json:"until,omitzero"`
	// AllocationEnds is when the first allocation ends that one of its nodes is in, with which the lease loses its executors there,
	// as those nodes say now; zero: none ends, or nobody knows.
	AllocationEnds time.Time `json:"allocation_ends,omitzero"`
	// Ended is zero while the lease lasts.
	Ended time.Time `json:"ended,omitzero"`
}

// MaxCoresPerExecutor is the most cores that one executor can be asked to have.
const MaxCoresPerExecutor = 1 << 12

// Executor is one executor of a lease.
type Executor struct {
	Node string `json:"node"`
	// Core that it has, of several the lowest.
	Core int `json:"core"`
	// More are its other cores, on the same node, ascending.
	More []int `json:"more_cores,omitempty"`
	// Oversubscribed: it shares its core with ranks or with other executors.
	Oversubscribed bool `json:"oversubscribed,omitempty"`
	// Memory that it may use, in bytes: as much for the session's buffers and constants, and as much
	// again for what its functions allocate. An oversubscribed executor shares it as it shares its core.
	Memory int64 `json:"memory,omitempty"`
	// Replaced is how often another process took its place.
	Replaced int `json:"replaced,omitempty"`
	// Lost: it is gone and will not be replaced; it holds no core any more.
	Lost bool `json:"lost,omitempty"`
}

// CoreCount is how many cores it takes, or has a share of.
func (e Executor) CoreCount() int { return 1 + len(e.More) }

// AllCores are the numbers of its cores, ascending; [NoCore] alone if it is pinned to none.
func (e Executor) AllCores() iter.Seq[int] {
	return func(yield func(int) bool) {
		if !yield(e.Core) {
			return
		}
		for _, core := range e.More {
			if !yield(core) {
				return
			}
		}
	}
}

// Equal tells whether two records say the same.
func (e Executor) Equal(other Executor) bool {
	return e.IsAt(other) && e.Replaced == other.Replaced && e.Lost == other.Lost
}

// IsAt tells whether two records have the same place and memory.
func (e Executor) IsAt(other Executor) bool {
	return e.Node == other.Node && e.Core == other.Core && slices.Equal(e.More, other.More) &&
		e.Oversubscribed == other.Oversubscribed && e.Memory == other.Memory
}

// Placed is an executor with its index in the lease.
type Placed struct {
	Index int `json:"index"`
	Executor
}

// Resources counts what the lease has to itself.
func (l Lease) Resources() Resources {
	held := Resources{}
	for _, e := range l.Executors {
		if !e.Oversubscribed && !e.Lost {
			held[Cores] += int64(e.CoreCount())
			held[Memory] += e.Memory
		}
	}
	return held
}

// Nodes are those that the lease has executors on, ascending.
func (l Lease) Nodes() []string {
	var nodes []string
	for _, e := range l.Executors {
		if !e.Lost {
			nodes = append(nodes, e.Node)
		}
	}
	slices.Sort(nodes)
	return slices.Compact(nodes)
}

// Clone copies the record. Executors share their lists of cores, which nobody changes in place.
func (l Lease) Clone() Lease {
	l.Executors = slices.Clone(l.Executors)
	return l
}
