package api

// Resource names something that nodes have and leases take.
type Resource string

// Cores are whole physical cores.
const Cores Resource = "cores"

// Resources are named counts. A name that is absent counts 0.
type Resources map[Resource]int64
