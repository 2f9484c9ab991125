package server

import (
	"maps"
	"os"
	"slices"
	"time"

	"github.com/sublet-hpc/sublet/internal/version"
	"github.com/sublet-hpc/sublet/resources/api"
)

// status is the book at a glance.
func (b *book) status(at time.Time) api.Status {
	b.lock(at)
	defer b.mu.Unlock()
	status := api.Status{Now: at, Nodes: map[api.NodeState]int{}, Leases: len(b.state.Leases), Attention: []api.NodeStatus{}, Waiting: []api.Waiting{}}
	for _, state := range api.NodeStates {
		status.Nodes[state] = 0
	}
	for _, node := range b.listNodes("", at) {
		status.Nodes[node.State]++
		if node.State != api.NodeLending {
			status.Attention = append(status.Attention, node)
		}
		b.count(&status, node)
	}
	for _, name := range slices.Sorted(maps.Keys(b.state.Drains)) {
		if node, gone := b.gone(name); gone {
			status.Nodes[api.NodeGone]++
			status.Attention = append(status.Attention, node)
		}
	}
	for _, lease := range b.state.Leases {
		for _, e := range lease.Executors {
			if !e.Lost {
				status.Executors++
			}
		}
	}
	for i := range b.waiting {
		status.Waiting = append(status.Waiting, b.describeWaiting(i))
	}
	return status
}

// count adds a node's cores and memory.
func (b *book) count(status *api.Status, node api.NodeStatus) {
	for i := range b.state.Nodes[node.Name].Cores {
		core := &b.state.Nodes[node.Name].Cores[i]
		status.Cores.Total++
		switch {
		case core.Lease != "":
			status.Cores.Lent++
		case !core.Free():
			status.Cores.Occupied++
		case node.Drain != nil:
			status.Cores.Draining++
		default:
			status.Cores.Free++
		}
	}
	status.Memory.Total += node.Memory
	status.Memory.Lent += b.state.Nodes[node.Name].Lent
	if node.Drain == nil {
		status.Memory.Free += node.Free[api.Memory]
	}
}

// status adds to what the book knows which resource manager it is.
func (s *Server) status(at time.Time) api.Status {
	status := s.book.status(at)
	status.Version, status.URL, status.Host = version.Version, s.URL(), s.directory.access.Host
	status.PID, status.Directory, status.Started = os.Getpid(), s.directory.path, s.started
	return status
}
