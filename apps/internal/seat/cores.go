package seat

// CountCores returns how many cores ranks and executors used together. A rank
// that is bound to no core uses one that nobody else does, as long as there is one; a core that
// several processes share counts once.
func CountCores(ranks []Seat, executors []Place) int {
	type node struct {
		bound map[int]bool
		free  int // processes that are bound to no core
		cores int
	}
	nodes := map[string]*node{}
	of := func(name string) *node {
		if nodes[name] == nil {
			nodes[name] = &node{bound: map[int]bool{}}
		}
		return nodes[name]
	}
	enter := func(n *node, core int) {
		if core < 0 {
			n.free++
		} else {
			n.bound[core] = true
		}
	}
	for _, seat := range ranks {
		n := of(seat.Node)
		n.cores = max(n.cores, seat.Cores)
		enter(n, seat.Core)
	}
	for _, e := range executors {
		enter(of(e.Node), e.Core)
	}
	total := 0
	for _, n := range nodes {
		// Cores that the ranks do not know of are used all the same.
		total += max(len(n.bound), min(len(n.bound)+n.free, n.cores))
	}
	return total
}
