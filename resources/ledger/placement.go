package ledger

import (
	"slices"

	"github.com/sublet-hpc/sublet/resources/api"
)

// places are where the executors of a grant can be.
type places struct {
	grant Grant
	able  []*Node // that may have one of its size
	open  []*Node // of which nothing is left to one who has waited longer
	spare int64   // how many executors can have cores to themselves
	taken int64   // of spare
}

// look finds the places of a grant, or says why they are too few.
func (c Grant) look(s *State) (*places, error) {
	nodes, err := c.candidates(s)
	if err != nil {
		return nil, err
	}
	p := &places{grant: c}
	p.able = slices.DeleteFunc(slices.Clone(nodes), func(n *Node) bool { return !n.mayHold(c.Memory) })
	p.open = slices.DeleteFunc(slices.Clone(p.able), c.keeps)
	p.spare = c.spare(p.open)
	if len(p.able) == 0 || !c.Oversubscribe && p.spare < int64(c.Executors) {
		refused := noCapacity(nodes, c.Executors, c.each(), c.kept(nodes))
		if c.Node == "" {
			refused.Draining = s.Draining(c.At)
		}
		return nil, refused
	}
	return p, nil
}

// fill places so many executors, each of the lease that has its turn.
func (p *places) fill(executors int, lease func(turn int) *api.Lease) {
	c := p.grant
	c.Executors = executors
	next := c.turns(p.open)
	for i := range executors {
		its := lease(i)
		if (c.Keep > 0 || len(p.open) < len(p.able)) && p.taken >= p.spare {
			// A share would keep its core from being free when the one that has it gives it back.
			its.Executors = append(its.Executors, unpinned(p.able, i, c.Memory))
		} else {
			its.Executors = append(its.Executors, place(next(i), its.ID, len(its.Executors), c.each()))
			p.taken++
		}
	}
}

// turns says on which nodes the executor of an index is to be, those that come first rather than the others.
// It sorts the nodes.
func (c Grant) turns(nodes []*Node) func(index int) []*Node {
	pack(nodes, int64(c.Executors), c.each())
	if c.Placement != api.Spread {
		return func(int) []*Node { return nodes }
	}
	sequence := spread(nodes, c.Executors, c.each())
	return func(index int) []*Node {
		if index < len(sequence) {
			return sequence[index : index+1]
		}
		return nodes // these share cores
	}
}

// pack orders nodes so that a lease that takes them in turn is on few of them: first the node that
// fits it best if one fits it at all, else those with room for the most executors.
func pack(nodes []*Node, executors int64, each size) {
	free := map[*Node]int64{}
	for _, node := range nodes {
		free[node] = node.room(each)
	}
	slices.SortStableFunc(nodes, func(a, b *Node) int {
		fitsA, fitsB := free[a] >= executors, free[b] >= executors
		switch {
		case fitsA && fitsB:
			return int(free[a] - free[b])
		case fitsA:
			return -1
		case fitsB:
			return 1
		}
		return int(free[b] - free[a])
	})
}

// spread deals executors out to nodes, one to each that has room in each round, first to those with room for the
// most. The result is shorter than asked if there is no room for all.
func spread(nodes []*Node, executors int, each size) (sequence []*Node) {
	rooms := map[*Node]int64{}
	for _, node := range nodes {
		rooms[node] = node.room(each)
	}
	left := slices.Clone(nodes)
	slices.SortStableFunc(left, func(a, b *Node) int { return int(rooms[b] - rooms[a]) })
	for round := int64(0); ; round++ {
		left = slices.DeleteFunc(left, func(n *Node) bool { return rooms[n] <= round })
		for _, node := range left {
			if len(sequence) == executors {
				return sequence
			}
			sequence = append(sequence, node)
		}
		if len(left) == 0 {
			return sequence
		}
	}
}

// place gives an executor free cores of the first node that has enough and the memory, or, if it takes one,
// else a share of the core with the least load; among equals rather one where no rank computes.
func place(nodes []*Node, lease string, index int, each size) api.Executor {
	var least *Core
	var its *Node
	for _, node := range nodes {
		if amount, fits := node.offer(each); fits {
			if cores := node.neighbors(int(each.cores)); cores != nil {
				e := api.Executor{Node: node.Record.Name, Core: cores[0], Memory: amount}
				if len(cores) > 1 {
					e.More = cores[1:]
				}
				node.hold(&e, lease, index)
				return e
			}
		}
		for i := range node.Cores {
			core := &node.Cores[i]
			if least == nil || core.load() < least.load() || core.load() == least.load() && core.Occupant == "" && least.Occupant != "" {
				least, its = core, node
			}
		}
	}
	if least == nil {
		return unpinned(nodes, index, each.memory)
	}
	least.Shared++
	return api.Executor{Node: its.Record.Name, Core: least.ID, Oversubscribed: true, Memory: its.shared(each.memory)}
}

// neighbors are free cores that lie close together: on one NUMA node if one has so many. Nil: there are not so many.
func (n *Node) neighbors(count int) []int {
	if best := n.closest(count, n.Record.NUMA); best != nil || len(n.Record.NUMA) == 0 {
		return best
	}
	return n.closest(count, nil)
}

// closest are free cores of one part whose numbers span the least, and of these the lowest. parts says of which part
// cores are, those that it does not name of part 0.
func (n *Node) closest(count int, parts map[int]int) []int {
	free := map[int][]int{} // by part
	var best []int
	for i := range n.Cores {
		id := n.Cores[i].ID
		if !n.Cores[i].Free() {
			continue
		}
		if count == 1 {
			return []int{id}
		}
		part := parts[id]
		free[part] = append(free[part], id)
		window := free[part][max(len(free[part])-count, 0):]
		if len(window) == count && (len(best) == 0 || window[count-1]-window[0] < best[count-1]-best[0]) {
			best = slices.Clone(window)
		}
	}
	return best
}

// unpinned is an executor that has no core, not even a share of one.
func unpinned(nodes []*Node, index int, memory int64) api.Executor {
	node := nodes[index%len(nodes)]
	return api.Executor{Node: node.Record.Name, Core: api.NoCore, Oversubscribed: true, Memory: node.shared(memory)}
}
