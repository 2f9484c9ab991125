package ledger

import (
	"fmt"
	"time"

	"github.com/sublet-hpc/sublet/resources/api"
)

// Grant begins a lease of executors with a core each: all of them, or none.
type Grant struct {
	Lease string // its name, not used before
	Node  string
	UID   int
	User  string
	// Account is who pays.
	Account   string
	Executors int
	// Oversubscribe: those that find no free core share one.
	Oversubscribe bool
	At            time.Time
}

func (c Grant) apply(s *State) (Result, error) {
	if c.Lease == "" || c.Executors < 1 {
		return Result{}, &refusal{ErrInvalid, fmt.Sprintf("a lease %q of %d executors; it needs a name and at least one", c.Lease, c.Executors)}
	}
	if s.Leases[c.Lease] != nil {
		return Result{}, &refusal{ErrExists, fmt.Sprintf("there is a lease %q already", c.Lease)}
	}
	node, err := s.node(c.Node)
	if err != nil {
		return Result{}, err
	}
	if node.Record.UID != c.UID {
		return Result{}, &refusal{ErrUser, fmt.Sprintf("node %q serves user %s (%d), not %s (%d)", c.Node, node.Record.User, node.Record.UID, c.User, c.UID)}
	}
	if node.Draining {
		return Result{}, &refusal{ErrDraining, fmt.Sprintf("node %q drains: its leases go on, but it takes no new ones", c.Node)}
	}
	if free := node.Free(); free[api.Cores] < int64(c.Executors) && !c.Oversubscribe {
		return Result{}, node.noCapacity(c.Executors)
	}

	lease := &api.Lease{ID: c.Lease, Node: c.Node, UID: c.UID, User: c.User, Account: c.Account, Granted: c.At}
	for i := range c.Executors {
		lease.Executors = append(lease.Executors, node.place(c.Lease, i))
	}
	s.Leases[c.Lease] = lease
	return one(lease), nil
}

// place gives an executor the lowest free core, or else a share of the core with the least load;
// among equals rather one where no rank computes.
func (n *Node) place(lease string, index int) api.Executor {
	var least *Core
	for i := range n.Cores {
		core := &n.Cores[i]
		if core.Free() {
			core.Lease, core.Executor = lease, index
			return api.Executor{Core: core.ID}
		}
		if least == nil || core.load() < least.load() || core.load() == least.load() && core.Occupant == "" && least.Occupant != "" {
			least = core
		}
	}
	if least == nil {
		return api.Executor{Core: api.NoCore, Oversubscribed: true}
	}
	least.Shared++
	return api.Executor{Core: least.ID, Oversubscribed: true}
}

// giveBack takes an executor off its core.
func (n *Node) giveBack(e *api.Executor) {
	core := n.Core(e.Core)
	switch {
	case core == nil || e.Lost:
	case e.Oversubscribed:
		core.Shared--
	default:
		core.Lease, core.Executor = "", 0
	}
}

// Release ends a lease.
type Release struct {
	Lease string
	At    time.Time
}

func (c Release) apply(s *State) (Result, error) {
	lease, err := s.lease(c.Lease)
	if err != nil {
		return Result{}, err
	}
	node := s.Nodes[lease.Node]
	for i := range lease.Executors {
		node.giveBack(&lease.Executors[i])
	}
	lease.Ended = c.At
	delete(s.Leases, c.Lease)
	return one(lease), nil
}

// Replace notes that another process takes the place of an executor, on the same core.
type Replace struct {
	Lease    string
	Executor int
}

func (c Replace) apply(s *State) (Result, error) {
	lease, executor, err := s.executor(c.Lease, c.Executor)
	if err != nil {
		return Result{}, err
	}
	executor.Replaced++
	return one(lease), nil
}

// Lose notes that an executor is gone for good. The lease shrinks; its core can be lent again.
type Lose struct {
	Lease    string
	Executor int
}

func (c Lose) apply(s *State) (Result, error) {
	lease, executor, err := s.executor(c.Lease, c.Executor)
	if err != nil {
		return Result{}, err
	}
	s.Nodes[lease.Node].giveBack(executor)
	executor.Lost = true
	return one(lease), nil
}

func (s *State) executor(id string, index int) (*api.Lease, *api.Executor, error) {
	lease, err := s.lease(id)
	if err != nil {
		return nil, nil, err
	}
	if index < 0 || index >= len(lease.Executors) {
		return nil, nil, &refusal{ErrUnknown, fmt.Sprintf("lease %q has no executor %d", id, index)}
	}
	if lease.Executors[index].Lost {
		return nil, nil, &refusal{ErrInvalid, fmt.Sprintf("executor %d of lease %q was lost before", index, id)}
	}
	return lease, &lease.Executors[index], nil
}
