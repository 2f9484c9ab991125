package api

// Placement says how the executors of a lease are divided between nodes.
type Placement string

const (
	// Pack takes as few nodes as will do; it is the default.
	Pack Placement = "pack"
	// Spread takes as many nodes as will do, and the same number of executors on each as far as there is room.
	Spread Placement = "spread"
)

// Placements are those that can be asked for.
var Placements = []Placement{Pack, Spread}

// Known tells whether it can be asked for. Empty stands for Pack.
func (p Placement) Known() bool { return p == "" || p == Pack || p == Spread }
