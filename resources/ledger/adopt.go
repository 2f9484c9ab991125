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
		unchanged = unchanged && known.Equal(placed.Executor)
		s.giveBack(known)
		*known = placed.Executor
		if !known.Lost && known.Core != api.NoCore {
			s.Nodes[known.Node].hold(known, lease.ID, placed.Index)
		}
	}
	return Result{Leases: []api.Lease{lease.Clone()}, Unchanged: unchanged}, nil
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
	missing, largest := 0, size{cores: 1}
	memory := map[*Node]int64{}
	for _, placed := range c.Executors {
		if placed.Index < 0 || placed.Index >= maxIndex || indices[placed.Index] {
			return &refusal{ErrInvalid, fmt.Sprintf("executor %d of lease %q is negative, too large or named twice", placed.Index, c.Lease.ID)}
		}
		indices[placed.Index] = true
		if placed.Memory < 0 {
			return &refusal{ErrInvalid, fmt.Sprintf("executor %d of lease %q has %d bytes of memory", placed.Index, c.Lease.ID, placed.Memory)}
		}
		if err := checkCores(c.Lease.ID, &placed); err != nil {
			return err
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
			if !known.Lost && !known.IsAt(placed.Executor) {
				return &refusal{ErrInvalid, fmt.Sprintf("executor %d of lease %q is on %s of node %q with %d bytes, not on %s of %q with %d",
					placed.Index, c.Lease.ID, coresOf(known), known.Node, known.Memory, coresOf(placed.Executor), placed.Node, placed.Memory)}
			}
			if !known.Lost {
				continue // it has its place
			}
		}
		if placed.Core == api.NoCore && placed.Oversubscribed || placed.Lost {
			continue
		}
		free := true
		for id := range placed.AllCores() {
			core, err := s.core(placed.Node, id)
			if err != nil {
				return err
			}
			if at := (place{placed.Node, id}); !placed.Oversubscribed {
				// Who shares it may have come first: the other ledger has placed them beside this one.
				free = free && core.Occupant == "" && core.Lease == "" && !taken[at]
				taken[at] = true
			}
		}
		if placed.Oversubscribed {
			continue
		}
		memory[node] += placed.Memory
		largest.memory, largest.cores = max(largest.memory, placed.Memory), max(largest.cores, int64(placed.CoreCount()))
		if !free || !node.hasFree(memory[node]) {
			missing++
			if !slices.Contains(nodes, node) {
				nodes = append(nodes, node)
			}
		}
	}
	if missing > 0 {
		return noCapacity(nodes, len(c.Executors), largest, 0)
	}
	return nil
}

// checkCores refuses an executor whose cores are not as they are placed: several are ascending, and its own.
func checkCores(lease string, e *api.Placed) error {
	last := e.Core
	for _, core := range e.More {
		if e.Core == api.NoCore || e.Oversubscribed || core <= last {
			return &refusal{ErrInvalid, fmt.Sprintf("executor %d of lease %q is on core %d and besides on %v; several cores are ascending, and not shared", e.Index, lease, e.Core, e.More)}
		}
		last = core
	}
	return nil
}

// coresOf names an executor's cores.
func coresOf(e api.Executor) string {
	if len(e.More) == 0 {
		return fmt.Sprintf("core %d", e.Core)
	}
	return "cores " + ranges(slices.Collect(e.AllCores()))
}
