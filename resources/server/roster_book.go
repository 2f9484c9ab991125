package server

import (
	"time"

	"github.com/sublet-hpc/sublet/resources/api"
	"github.com/sublet-hpc/sublet/resources/ledger"
)

// registered is what the book has of a node.
func (r *roster) registered(name string) (api.Node, bool) {
	r.book.mu.Lock()
	defer r.book.mu.Unlock()
	node := r.book.state.Nodes[name]
	if node == nil {
		return api.Node{}, false
	}
	return node.Record.Clone(), true
}

// reoccupy enters at once who uses which cores of a node, or nobody, without a lease; false: it is not
// registered.
func (b *book) reoccupy(name string, by map[int]string, at time.Time) bool {
	b.lock(at)
	defer b.mu.Unlock()
	if b.managers[name] == nil {
		return false
	}
	if _, err := b.apply(ledger.Occupants{Node: name, By: by}); err != nil {
		b.log.Error("it could not be noted which cores of a node may be leased", "node", name, "error", err)
	}
	b.serveWaiting(at)
	return true
}

// bind enters how much of a node's memory may be lent, and returns how much that is: leases keep theirs.
func (b *book) bind(name string, memory int64, at time.Time) int64 {
	b.lock(at)
	defer b.mu.Unlock()
	node := b.state.Nodes[name]
	if node == nil {
		return memory // it is written off, and registers with that when it comes back
	}
	if _, err := b.apply(ledger.BoundNode{Node: name, Memory: memory}); err != nil {
		b.log.Error("it could not be noted how much memory of a node may be leased", "node", name, "error", err)
	}
	b.serveWaiting(at)
	return b.state.Nodes[name].Record.Memory
}
