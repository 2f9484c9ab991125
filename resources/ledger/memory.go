package ledger

import "github.com/sublet-hpc/sublet/resources/api"

// Memory is lent with cores: an executor that has a core to itself has its memory to itself, too. One
// that shares a core has a bound, but nothing is set aside for it. A node that registers without
// memory has it not counted.

// granule is what shares are rounded down to.
const granule = 1 << 20

// counts tells whether the node's memory is known.
func (n *Node) counts() bool { return n.Record.Memory > 0 }

// lend takes so many bytes, or gives them back if the amount is negative.
func (n *Node) lend(amount int64) {
	if n.counts() {
		n.Lent += amount
	}
}

// hasFree tells whether so much can be lent now.
func (n *Node) hasFree(amount int64) bool { return !n.counts() || amount <= n.freeMemory() }

// size is what one executor takes: so many cores, and so many bytes; 0: their share of the node's memory.
type size struct{ cores, memory int64 }

// mayHold tells whether an executor with so much memory could be on the node if it were empty.
func (n *Node) mayHold(memory int64) bool { return !n.counts() || memory <= n.Record.Memory }

// share is an equal part of the node's memory for each of its cores.
func (n *Node) share() int64 {
	return max(n.Record.Memory/int64(max(len(n.Cores), 1))&^(granule-1), api.LeastShare)
}

// shared is the bound of an executor that shares its core.
func (n *Node) shared(asked int64) int64 {
	if asked > 0 || !n.counts() {
		return asked
	}
	return min(n.share(), n.Record.Memory)
}

// offer is the memory that the next executor with cores to itself gets, if there is so much: what was
// asked for, or else its cores' shares. Where others have asked for more than theirs, what is left is
// divided between the cores that are left.
func (n *Node) offer(each size) (amount int64, fits bool) {
	if each.memory > 0 || !n.counts() {
		return each.memory, n.hasFree(each.memory)
	}
	left := int64(0)
	for i := range n.Cores {
		if n.Cores[i].Lease == "" {
			left++
		}
	}
	equal := n.freeMemory() / max(left, 1) &^ (granule - 1)
	amount = each.cores * max(min(n.share(), equal), api.LeastShare)
	return amount, n.hasFree(amount)
}

// room is how many executors of a size can have cores to themselves now.
func (n *Node) room(each size) int64 {
	amount, _ := n.offer(each)
	fit := n.freeCores() / each.cores
	if amount == 0 || !n.counts() {
		return fit
	}
	return min(fit, n.freeMemory()/amount)
}

func room(nodes []*Node, each size) (sum int64) {
	for _, node := range nodes {
		sum += node.room(each)
	}
	return sum
}

// unused is how many cores nobody uses without a lease.
func (n *Node) unused() (count int64) {
	for i := range n.Cores {
		if n.Cores[i].Occupant == "" {
			count++
		}
	}
	return count
}

// possible is how many there could be if no lease were there.
func (n *Node) possible(each size) int64 {
	count := n.unused() / each.cores
	if !n.counts() {
		return count
	}
	return min(count, n.Record.Memory/each.least())
}

// least is the least memory that an executor of the size gets.
func (each size) least() int64 {
	if each.memory == 0 {
		return each.cores * api.LeastShare
	}
	return each.memory
}

// spare is how many executors with cores to themselves the lease can have, if what others have waited
// for is left.
func (c Grant) spare(nodes []*Node) int64 {
	cores, memory, largest, counted := int64(0), int64(0), int64(1), true
	for _, node := range nodes {
		cores += node.freeCores()
		memory += node.freeMemory()
		amount, _ := node.offer(c.each())
		largest = max(largest, amount)
		counted = counted && node.counts()
	}
	spare := min((cores-int64(c.Keep))/c.each().cores, room(nodes, c.each()))
	if c.KeepMemory > 0 && counted {
		spare = min(spare, (memory-c.KeepMemory)/largest)
	}
	return max(spare, 0)
}
