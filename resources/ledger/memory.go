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

// offer is the memory that the next executor with a core to itself gets, if there is so much: what was
// asked for, or else its core's share. Where others have asked for more than theirs, what is left is
// divided between the cores that are left.
func (n *Node) offer(asked int64) (amount int64, fits bool) {
	if asked > 0 || !n.counts() {
		return asked, n.hasFree(asked)
	}
	left := int64(0)
	for i := range n.Cores {
		if n.Cores[i].Lease == "" {
			left++
		}
	}
	equal := n.freeMemory() / max(left, 1) &^ (granule - 1)
	amount = max(min(n.share(), equal), api.LeastShare)
	return amount, n.hasFree(amount)
}

// room is how many executors with so much memory (0: a share) can have a core to themselves now.
func (n *Node) room(memory int64) int64 {
	amount, _ := n.offer(memory)
	if amount == 0 || !n.counts() {
		return n.freeCores()
	}
	return min(n.freeCores(), n.freeMemory()/amount)
}

func room(nodes []*Node, memory int64) (sum int64) {
	for _, node := range nodes {
		sum += node.room(memory)
	}
	return sum
}

// possible is how many there could be if no lease were there: on cores that nobody uses without one.
func (n *Node) possible(memory int64) (count int64) {
	for i := range n.Cores {
		if n.Cores[i].Occupant == "" {
			count++
		}
	}
	if !n.counts() {
		return count
	}
	return min(count, n.Record.Memory/leastFor(memory))
}

// leastFor is the least memory that an executor gets for which so much is asked.
func leastFor(asked int64) int64 {
	if asked == 0 {
		return api.LeastShare
	}
	return asked
}

// spare is how many executors with a core to themselves the lease can have, if what others have waited
// for is left.
func (c Grant) spare(nodes []*Node) int64 {
	cores, memory, largest, counted := int64(0), int64(0), int64(1), true
	for _, node := range nodes {
		cores += node.freeCores()
		memory += node.freeMemory()
		amount, _ := node.offer(c.Memory)
		largest = max(largest, amount)
		counted = counted && node.counts()
	}
	spare := min(cores-int64(c.Keep), room(nodes, c.Memory))
	if c.KeepMemory > 0 && counted {
		spare = min(spare, (memory-c.KeepMemory)/largest)
	}
	return max(spare, 0)
}
