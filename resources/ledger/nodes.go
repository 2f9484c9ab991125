package ledger

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/sublet-hpc/sublet/resources/api"
)

// RegisterNode makes a node's cores and memory known, and its manager.
type RegisterNode struct {
	Node     api.Node
	Instance string
	Key      []byte
}

func (c RegisterNode) apply(s *State) (Result, error) {
	if c.Node.Name == "" {
		return Result{}, &refusal{ErrInvalid, "a node needs a name"}
	}
	if s.Nodes[c.Node.Name] != nil {
		return Result{}, &refusal{ErrExists, fmt.Sprintf("node %q is registered already; remove it first", c.Node.Name)}
	}
	if c.Node.Memory < 0 {
		return Result{}, &refusal{ErrInvalid, fmt.Sprintf("node %q registers with %d bytes of memory", c.Node.Name, c.Node.Memory)}
	}
	node := &Node{Record: c.Node.Clone(), Instance: c.Instance, Key: slices.Clone(c.Key)}
	slices.Sort(node.Record.Cores)
	for i, id := range node.Record.Cores {
		if id < 0 || i > 0 && id == node.Record.Cores[i-1] {
			return Result{}, &refusal{ErrInvalid, fmt.Sprintf("node %q names core %d, which is negative or named twice", c.Node.Name, id)}
		}
		node.Cores = append(node.Cores, Core{ID: id})
	}
	s.Nodes[c.Node.Name] = node
	return Result{}, nil
}

// BoundNode says anew how much of a node's memory may be lent, in bytes. Leases keep what they have, also where that
// is more.
type BoundNode struct {
	Node   string
	Memory int64
}

func (c BoundNode) apply(s *State) (Result, error) {
	node, err := s.node(c.Node)
	if err != nil {
		return Result{}, err
	}
	if c.Memory <= 0 || !node.counts() {
		return Result{}, &refusal{ErrInvalid, fmt.Sprintf("of node %q %d bytes of %d are to be lent: only what is known and more than nothing can be bound", c.Node, c.Memory, node.Record.Memory)}
	}
	memory := max(c.Memory, node.Lent)
	result := Result{Unchanged: memory == node.Record.Memory}
	node.Record.Memory = memory
	return result, nil
}

// RemoveNode forgets a node: its manager has gone or is silent. The executors that leases have on it
// are lost; leases that have no others end. The result are both.
type RemoveNode struct {
	Node string
	At   time.Time
}

func (c RemoveNode) apply(s *State) (Result, error) {
	if _, err := s.node(c.Node); err != nil {
		return Result{}, err
	}
	var result Result
	for _, id := range slices.Sorted(maps.Keys(s.Leases)) {
		if lease := s.Leases[id]; slices.Contains(lease.Nodes(), c.Node) {
			result.Leases = append(result.Leases, s.shrink(lease, c.Node, c.At).Leases...)
		}
	}
	delete(s.Nodes, c.Node)
	return result, nil
}

// Occupy notes that somebody uses a core without a lease: a rank, or another manager's executor.
// If the core is lent it stays so until that executor gives it back.
type Occupy struct {
	Node string
	Core int
	// By completes the sentence "core 3 is used by".
	By string
}

func (c Occupy) apply(s *State) (Result, error) {
	core, err := s.core(c.Node, c.Core)
	if err != nil {
		return Result{}, err
	}
	if c.By == "" {
		return Result{}, &refusal{ErrInvalid, fmt.Sprintf("core %d of node %q is occupied by nobody named", c.Core, c.Node)}
	}
	if core.Occupant != "" {
		return Result{}, &refusal{ErrExists, fmt.Sprintf("core %d of node %q is used by %s already", c.Core, c.Node, core.Occupant)}
	}
	core.Occupant = c.By
	return Result{}, nil
}

// Vacate ends what Occupy began.
type Vacate struct {
	Node string
	Core int
}

func (c Vacate) apply(s *State) (Result, error) {
	core, err := s.core(c.Node, c.Core)
	if err != nil {
		return Result{}, err
	}
	if core.Occupant == "" {
		return Result{}, &refusal{ErrUnknown, fmt.Sprintf("core %d of node %q is not occupied", c.Core, c.Node)}
	}
	core.Occupant = ""
	return Result{}, nil
}

// Occupants says at once who uses which cores of a node without a lease; all others are vacated.
type Occupants struct {
	Node string
	By   map[int]string
}

func (c Occupants) apply(s *State) (Result, error) {
	node, err := s.node(c.Node)
	if err != nil {
		return Result{}, err
	}
	for id, by := range c.By {
		if node.Core(id) == nil || by == "" {
			return Result{}, &refusal{ErrInvalid, fmt.Sprintf("core %d of node %q is used by %q: there is no such core, or no name", id, c.Node, by)}
		}
	}
	result := Result{Unchanged: true}
	for i := range node.Cores {
		by := c.By[node.Cores[i].ID]
		result.Unchanged = result.Unchanged && node.Cores[i].Occupant == by
		node.Cores[i].Occupant = by
	}
	return result, nil
}

func (s *State) core(name string, id int) (*Core, error) {
	node, err := s.node(name)
	if err != nil {
		return nil, err
	}
	core := node.Core(id)
	if core == nil {
		return nil, &refusal{ErrUnknown, fmt.Sprintf("node %q has no core %d to lend", name, id)}
	}
	return core, nil
}
