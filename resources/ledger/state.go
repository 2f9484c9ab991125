package ledger

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/sublet-hpc/sublet/resources/api"
)

// State is all that the ledger knows.
type State struct {
	Nodes  map[string]*Node
	Leases map[string]*api.Lease
	// Ended are leases, and parts of leases (PartOf), that have ended, and until when that is remembered.
	Ended Names
	// Ending are leases that somebody wants ended, Removed the managers, by their instances, that are to end
	// because their nodes were removed; and until when that is remembered.
	Ending  map[string]time.Time
	Removed map[string]time.Time
	// Drains are the nodes that take no new leases, also those that are not registered just now.
	Drains map[string]api.Drain
	// Billing is what leases have used, and who pays.
	Billing Billing
}

// Node is a registered node with its cores.
type Node struct {
	Record api.Node
	Cores  []Core // by ascending ID
	// Lent is the memory that leases have to themselves, in bytes.
	Lent int64
	// Instance is the process of the node's manager, and Key what signs tickets for it. Where no resource
	// manager is they are empty.
	Instance string
	Key      []byte
	// Outlook is for how long the node will be lent.
	Outlook api.Outlook `json:",omitzero"`
}

// Core is one core that can be lent.
type Core struct {
	ID int
	// Occupant says who uses the core without a lease, empty if nobody does.
	Occupant string
	// Lease has the core to itself, for its executor of this index; empty if none has.
	Lease    string
	Executor int
	// Shared is how many oversubscribed executors are pinned to the core besides.
	Shared int
}

// Free tells whether the core can be lent: nobody uses it.
func (c *Core) Free() bool { return c.Occupant == "" && c.Lease == "" && c.Shared == 0 }

// load is how many compete for the core.
func (c *Core) load() int {
	n := c.Shared
	if c.Occupant != "" {
		n++
	}
	if c.Lease != "" {
		n++
	}
	return n
}

// New is the state without any nodes.
func New() *State {
	return &State{
		Nodes: map[string]*Node{}, Leases: map[string]*api.Lease{}, Drains: map[string]api.Drain{},
		Ended: Names{}, Ending: map[string]time.Time{}, Removed: map[string]time.Time{}, Billing: newBilling(),
	}
}

// Clone copies the state.
func (s *State) Clone() *State {
	c := New()
	for name, node := range s.Nodes {
		copied := *node
		copied.Record, copied.Cores, copied.Key = node.Record.Clone(), slices.Clone(node.Cores), slices.Clone(node.Key)
		c.Nodes[name] = &copied
	}
	for id, lease := range s.Leases {
		copied := lease.Clone()
		c.Leases[id] = &copied
	}
	maps.Copy(c.Drains, s.Drains)
	c.Ended = maps.Clone(s.Ended) // there may be many
	maps.Copy(c.Ending, s.Ending)
	maps.Copy(c.Removed, s.Removed)
	c.Billing = s.Billing.clone()
	return c
}

func (s *State) node(name string) (*Node, error) {
	node := s.Nodes[name]
	if node == nil {
		return nil, &refusal{ErrUnknown, fmt.Sprintf("there is no node %q", name)}
	}
	return node, nil
}

func (s *State) lease(id string) (*api.Lease, error) {
	lease := s.Leases[id]
	if lease == nil {
		return nil, &refusal{ErrUnknown, fmt.Sprintf("there is no lease %q", id)}
	}
	return lease, nil
}

// Core finds a core by its number; nil if the node has not registered it.
func (n *Node) Core(id int) *Core {
	i, found := slices.BinarySearchFunc(n.Cores, id, func(c Core, id int) int { return c.ID - id })
	if !found {
		return nil
	}
	return &n.Cores[i]
}

// Free counts what can be lent now.
func (n *Node) Free() api.Resources {
	return api.Resources{api.Cores: n.freeCores(), api.Memory: n.freeMemory()}
}

// freeCores and freeMemory are looked at several times for each lease, and again when a log is replayed: they make
// no map.
func (n *Node) freeCores() (count int64) {
	for i := range n.Cores {
		if n.Cores[i].Free() {
			count++
		}
	}
	return count
}

func (n *Node) freeMemory() int64 { return n.Record.Memory - n.Lent }
