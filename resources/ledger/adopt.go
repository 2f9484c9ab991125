package ledger

import (
	"fmt"
	"slices"

	"github.com/sublet-hpc/sublet/resources/api"
)

// maxIndex bounds what a lease that is adopted can grow to.
const maxIndex = 1 << 16

// Adopt enters executors where another ledger has placed them. A manager adopts what the resource
// manager has granted; a resource manager adopts what a manager says that it holds. What is known
// already is brought up to date. All executors are entered, or none.
type Adopt struct {
	// Lease is taken over where it is not known; its Executors are not looked at.
	Lease     api.Lease
	Executors []api.Placed
}

func (c Adopt) apply(s *State) (Result, error) {
	if c.Lease.ID == "" || len(c.Executors) == 0 {
		return Result{}, &refusal{ErrInvalid, "a lease that is adopted needs a name and executors"}
	}
	if err := c.check(s); err != nil {
		return Result{}, err
	}
	lease := s.Leases[c.Lease.ID]
	unchanged := lease != nil
	if lease == nil {
		fresh := c.Lease
		fresh.Executors = nil
		lease = &fresh
		s.Leases[fresh.ID] = lease
	}
	for _, placed := range c.Executors {
		for len(lease.Executors) <= placed.Index {
			// What nobody has reported is lost until somebody does.
			lease.Executors = append(lease.Executors, api.Executor{Core: api.NoCore, Lost: true})
			unchanged = false
		}
		known := &lease.Executors[placed.Index]
		unchanged = unchanged && *known == placed.Executor
		s.giveBack(known)
		*known = placed.Executor
		s.hold(known, lease.ID, placed.Index)
	}
	return Result{Leases: []api.Lease{lease.Clone()}, Unchanged: unchanged}, nil
}

// hold is the reverse of giveBack.
func (s *State) hold(e *api.Executor, lease string, index int) {
	if e.Lost || e.Core == api.NoCore {
		return
	}
	node := s.Nodes[e.Node]
	core := node.Core(e.Core)
	if e.Oversubscribed {
		core.Shared++
	} else {
		core.Lease, core.Executor = lease, index
		node.lend(e.Memory)
	}
}

func (c Adopt) check(s *State) error {
	lease := s.Leases[c.Lease.ID]
	type place struct {
		node string
		core int
	}
	taken := map[place]bool{}
	indices := map[int]bool{}
	var nodes []*Node
	missing, largest := 0, int64(0)
	memory := map[*Node]int64{}
	for _, placed := range c.Executors {
		if placed.Index < 0 || placed.Index >= maxIndex || indices[placed.Index] {
			return &refusal{ErrInvalid, fmt.Sprintf("executor %d of lease %q is negative, too large or named twice", placed.Index, c.Lease.ID)}
		}
		indices[placed.Index] = true
		if placed.Memory < 0 {
			return &refusal{ErrInvalid, fmt.Sprintf("executor %d of lease %q has %d bytes of memory", placed.Index, c.Lease.ID, placed.Memory)}
		}
		node, err := s.node(placed.Node)
		if err != nil {
			return err
		}
		if node.Record.UID != c.Lease.UID {
			return &refusal{ErrUser, fmt.Sprintf("node %q serves user %s (%d), not %s (%d)", placed.Node, node.Record.User, node.Record.UID, c.Lease.User, c.Lease.UID)}
		}
		if lease != nil && placed.Index < len(lease.Executors) {
			known := lease.Executors[placed.Index]
			if !known.Lost && (known.Node != placed.Node || known.Core != placed.Core || known.Oversubscribed != placed.Oversubscribed || known.Memory != placed.Memory) {
				return &refusal{ErrInvalid, fmt.Sprintf("executor %d of lease %q is on core %d of node %q with %d bytes, not on core %d of %q with %d",
					placed.Index, c.Lease.ID, known.Core, known.Node, known.Memory, placed.Core, placed.Node, placed.Memory)}
			}
			if !known.Lost {
				continue // it has its place
			}
		}
		if placed.Core == api.NoCore && placed.Oversubscribed || placed.Lost {
			continue
		}
		core, err := s.core(placed.Node, placed.Core)
		if err != nil {
			return err
		}
		at := place{placed.Node, placed.Core}
		if !placed.Oversubscribed {
			memory[node] += placed.Memory
			largest = max(largest, placed.Memory)
			if !core.Free() || taken[at] || !node.hasFree(memory[node]) {
				missing++
				if !slices.Contains(nodes, node) {
					nodes = append(nodes, node)
				}
			}
			taken[at] = true
		}
	}
	if missing > 0 {
		return noCapacity(nodes, len(c.Executors), largest, 0)
	}
	return nil
}
