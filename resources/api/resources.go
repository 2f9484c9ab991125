package api

// Resource names something that nodes have and leases take.
type Resource string

const (
	// Cores are whole physical cores.
	Cores Resource = "cores"
	// Memory is in bytes.
	Memory Resource = "memory"
)

const (
	// MinMemory is the least that an executor can be leased with, in bytes: allocators take some
	// MiB at a time, and small buffers share regions of one.
	MinMemory = 16 << 20
	// LeastShare is the least that an executor gets that asks for no amount, in bytes.
	LeastShare = 64 << 20
)

// Resources are named counts. A name that is absent counts 0.
type Resources map[Resource]int64
