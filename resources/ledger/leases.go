package ledger

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/sublet-hpc/sublet/resources/api"
)

// Grant begins a lease of executors with cores of their own: all of them, or none.
type Grant struct {
	Lease string // its name, not used before
	// Node is the only one to take; empty: those that there are, as Placement says.
	Node      string
	Placement api.Placement `json:",omitzero"`
	UID       int
	User      string
	// Account is who pays.
	Account   string
	Executors int
	// CoresPerExecutor is how many cores of one node each has; 0: one.
	CoresPerExecutor int `json:",omitzero"`
	// Memory of each executor in bytes; 0: its cores' share of its node's.
	Memory int64
	// Oversubscribe: those that find no free core share one. It is not for executors of several cores.
	Oversubscribe bool
	// Keep is how many free cores are not to be taken, and KeepMemory how much free memory: somebody has
	// waited longer for as much.
	Keep       int
	KeepMemory int64
	// KeepNodes is from how many cores on, that leases could have, nodes are not to be taken from: somebody has waited
	// longer for executors of so many cores each; 0: nobody has.
	KeepNodes int `json:",omitzero"`
	At        time.Time
	// Expires is when the lease ends unless it is renewed; zero: never.
	Expires time.Time
	// Until is when it ends anyway, as its managers see to; zero: never.
	Until time.Time `json:",omitzero"`
}

func (c Grant) apply(s *State) (Result, error) {
	if c.Lease == "" || c.Executors < 1 {
		return Result{}, &refusal{ErrInvalid, fmt.Sprintf("a lease %q of %d executors; it needs a name and at least one", c.Lease, c.Executors)}
	}
	if err := c.validate(); err != nil {
		return Result{}, err
	}
	if s.Leases[c.Lease] != nil {
		return Result{}, &refusal{ErrExists, fmt.Sprintf("there is a lease %q already", c.Lease)}
	}
	p, err := c.look(s)
	if err != nil {
		return Result{}, err
	}
	lease := c.begin(c.Lease)
	p.fill(c.Executors, func(int) *api.Lease { return lease })
	s.Leases[c.Lease] = lease
	return one(lease), nil
}

// Fits says why there is no room for the grant now, and nil if there is. It changes nothing, and takes no longer the more
// leases its executors are for: who has many wait asks this before GrantAll.
func (c Grant) Fits(s *State) error {
	if err := c.validate(); err != nil {
		return err
	}
	_, err := c.look(s)
	return err
}

// begin is a lease without executors yet.
func (c Grant) begin(name string) *api.Lease {
	return &api.Lease{ID: name, UID: c.UID, User: c.User, Account: c.Account, Granted: c.At, Expires: c.Expires, Until: c.Until}
}

// validate refuses what nobody can ask for, but for names and how many.
func (c Grant) validate() error {
	if c.CoresPerExecutor < 0 || c.CoresPerExecutor > api.MaxCoresPerExecutor {
		return &refusal{ErrInvalid, fmt.Sprintf("executors of %d cores each; 1 to %d", c.CoresPerExecutor, api.MaxCoresPerExecutor)}
	}
	if c.CoresPerExecutor > 1 && c.Oversubscribe {
		return &refusal{ErrInvalid, fmt.Sprintf("oversubscribed executors of %d cores each; threads that share their cores with others hold each other up: ask for executors that have theirs to themselves, or for oversubscribed ones of one core", c.CoresPerExecutor)}
	}
	if c.Memory < 0 || c.Memory > 0 && c.Memory < api.MinMemory {
		return &refusal{ErrInvalid, fmt.Sprintf("executors with %d bytes of memory; at least %d, or 0 for a share of the node's", c.Memory, api.MinMemory)}
	}
	if !c.Placement.Known() {
		return &refusal{ErrInvalid, fmt.Sprintf("placement %q; there are %q, the default, and %q", c.Placement, api.Pack, api.Spread)}
	}
	return nil
}

// Cores is how many cores its executors take together.
func (c Grant) Cores() int { return c.Executors * max(c.CoresPerExecutor, 1) }

// each is what one executor takes.
func (c Grant) each() size {
	return size{cores: int64(max(c.CoresPerExecutor, 1)), memory: c.Memory}
}

// keeps tells whether all of a node is left to one who has waited longer.
func (c Grant) keeps(n *Node) bool { return c.KeepNodes > 0 && n.unused() >= int64(c.KeepNodes) }

// kept is how many cores of the nodes are left to that one, at most.
func (c Grant) kept(nodes []*Node) int {
	kept := c.Keep
	for _, n := range nodes {
		if c.keeps(n) {
			kept += len(n.Cores)
		}
	}
	return kept
}

// candidates are the nodes that may have executors of the lease, by name.
func (c Grant) candidates(s *State) ([]*Node, error) {
	if c.Node != "" {
		node, err := s.node(c.Node)
		if err != nil {
			return nil, err
		}
		return []*Node{node}, c.check(s, node)
	}
	var nodes []*Node
	var refused error
	for _, name := range slices.Sorted(maps.Keys(s.Nodes)) {
		if err := c.check(s, s.Nodes[name]); err != nil {
			refused = err
			continue
		}
		nodes = append(nodes, s.Nodes[name])
	}
	if len(nodes) == 0 && refused != nil {
		return nil, refused
	}
	return nodes, nil
}

func (c Grant) check(s *State, node *Node) error {
	name := node.Record.Name
	if node.Record.UID != c.UID {
		return &refusal{ErrUser, fmt.Sprintf("node %q serves user %s (%d), not %s (%d)", name, node.Record.User, node.Record.UID, c.User, c.UID)}
	}
	if drain := s.Drain(name, c.At); drain != nil {
		return draining(name, *drain)
	}
	return nil
}

// giveBack takes an executor off its cores, and its memory from the lease.
func (s *State) giveBack(e *api.Executor) {
	node := s.Nodes[e.Node]
	if e.Lost || node == nil || e.Core == api.NoCore {
		return
	}
	for id := range e.AllCores() {
		core := node.Core(id)
		switch {
		case core == nil:
		case e.Oversubscribed:
			core.Shared--
		default:
			core.Lease, core.Executor = "", 0
		}
	}
	if !e.Oversubscribed {
		node.lend(-e.Memory)
	}
}

// hold is the reverse of giveBack.
func (n *Node) hold(e *api.Executor, lease string, index int) {
	for id := range e.AllCores() {
		core := n.Core(id)
		if e.Oversubscribed {
			core.Shared++
		} else {
			core.Lease, core.Executor = lease, index
		}
	}
	if !e.Oversubscribed {
		n.lend(e.Memory)
	}
}

// Release ends a lease.
type Release struct {
	Lease string
	At    time.Time
	// Remember is until when the lease's name is among those that have ended; zero: not at all.
	Remember time.Time
}

func (c Release) apply(s *State) (Result, error) {
	lease, err := s.lease(c.Lease)
	if err != nil {
		return Result{}, err
	}
	s.remember(lease.ID, c.Remember)
	return s.end(lease, c.At), nil
}

func (s *State) end(lease *api.Lease, at time.Time) Result {
	for i := range lease.Executors {
		s.giveBack(&lease.Executors[i])
	}
	lease.Ended = at
	delete(s.Leases, lease.ID)
	return one(lease)
}

// ReleasePart notes that nothing of a lease is left on one node. The lease shrinks, and ends when
// it has no executors any more.
type ReleasePart struct {
	Lease string
	Node  string
	At    time.Time
	// Remember is until when the part, and the lease if that was all of it, is among those that have
	// ended; zero: not at all.
	Remember time.Time
}

func (c ReleasePart) apply(s *State) (Result, error) {
	lease, err := s.lease(c.Lease)
	if err != nil {
		return Result{}, err
	}
	if !slices.Contains(lease.Nodes(), c.Node) {
		return Result{}, &refusal{ErrUnknown, fmt.Sprintf("lease %q has no executors on node %q", c.Lease, c.Node)}
	}
	s.remember(PartOf(c.Lease, c.Node), c.Remember)
	result := s.shrink(lease, c.Node, c.At)
	if !lease.Ended.IsZero() {
		s.remember(c.Lease, c.Remember)
	}
	return result, nil
}

// shrink loses the executors that a lease has on a node.
func (s *State) shrink(lease *api.Lease, node string, at time.Time) Result {
	left := false
	for i := range lease.Executors {
		e := &lease.Executors[i]
		if e.Node == node {
			s.giveBack(e)
			e.Lost = true
		}
		left = left || !e.Lost
	}
	if left {
		return one(lease)
	}
	return s.end(lease, at)
}

// Expire ends leases that nobody has renewed. Who knows the time, and of renewals, names them; names that
// are not known do no harm.
type Expire struct {
	Leases []string
	At     time.Time
	// Remember is until when their names are among those that have ended; zero: not at all.
	Remember time.Time
}

func (c Expire) apply(s *State) (Result, error) {
	result := Result{Unchanged: true}
	for _, id := range c.Leases {
		if lease := s.Leases[id]; lease != nil {
			s.remember(id, c.Remember)
			result.Leases = append(result.Leases, s.end(lease, c.At).Leases...)
			result.Unchanged = false
		}
	}
	return result, nil
}

// Replace notes that another process takes the place of an executor, on the same cores.
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

// Lose notes that an executor is gone for good. The lease shrinks; its cores can be lent again.
type Lose struct {
	Lease    string
	Executor int
}

func (c Lose) apply(s *State) (Result, error) {
	lease, executor, err := s.executor(c.Lease, c.Executor)
	if err != nil {
		return Result{}, err
	}
	s.giveBack(executor)
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
