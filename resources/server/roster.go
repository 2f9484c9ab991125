package server

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/sublet-hpc/sublet/config"
	"github.com/sublet-hpc/sublet/resources/api"
)

// roster is what people and batch systems have said about nodes: by an executors database, by /add and
// by /remove. It says how much of a node may be leased at most; what is leased is only what the node's
// manager has registered.
//
//	unsaid ── /add ──▶ added: at most so many cores, and so much memory
//	  │                 │  ▲
//	  │         /remove │  │ /add
//	  │                 ▼  │
//	  └─── /remove ──▶ removed: nothing new; leases that it has go on
//
// A manager that comes before, between or after finds the same, and so does a resource manager that is
// started again with the same run directory. The cores that may not be leased are entered into the book as
// used by nobody, which says why.
type roster struct {
	book *book
	path string // where it is kept

	saying sync.Mutex // held while something is said, until it is on disk: that may take long
	mu     sync.Mutex
	said   map[string]entry // by node; replaced and never changed, by who holds both locks
	nodes  map[string]*rosterNode
}

// entry is what was said of a node.
type entry struct {
	Address string `json:"address,omitempty"` // empty: it was removed, and never added
	Port    int    `json:"port,omitempty"`
	Cores   int    `json:"cores,omitempty"`
	Memory  int    `json:"memory,omitempty"` // MB; 0: as much as it lends
	// Nameless: the database has no name for the node, but its address.
	Nameless bool `json:"nameless,omitempty"`
	Removed  bool `json:"removed,omitempty"`
}

// rosterNode is what a manager has registered. Its lock is held while something of it goes into the book,
// so that nothing older follows.
type rosterNode struct {
	mu       sync.Mutex
	instance string // empty: it has never registered
	name     string
	address  string
	cores    []int
	offered  int64 // its memory, in bytes; 0: it is not known
	memory   int64 // as much of that as the book has
	learned  bool  // from the book, which does not know what was offered: an earlier resource manager registered it
	again    bool  // its manager is to register again, and so to say what it offers
	state    api.State
}

// megabyte is what the memory of rFaaS's files counts.
const megabyte = 1 << 20

func newRoster(b *book, path string) *roster {
	return &roster{book: b, path: path, said: map[string]entry{}, nodes: map[string]*rosterNode{}}
}

// at are the addresses by which entries are compared.
func (e entry) at() string { return net.JoinHostPort(e.Address, strconv.Itoa(e.Port)) }

// node finds what is known of a node's manager, and locks it.
func (r *roster) node(name string) *rosterNode {
	r.mu.Lock()
	n := r.nodes[name]
	if n == nil {
		n = &rosterNode{name: name}
		r.nodes[name] = n
	}
	r.mu.Unlock()
	n.mu.Lock()
	return n
}

// of is what was said of a node.
func (r *roster) of(name, address string) (entry, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e, ok := r.said[name]; ok {
		return e, true
	}
	for _, e := range r.said {
		if e.Nameless && e.at() == address {
			return e, true
		}
	}
	return entry{}, false
}

// register is the book's, for as much of the node as may be leased.
func (r *roster) register(request api.Register, at time.Time) (api.HeartbeatReply, error) {
	n := r.node(request.Node.Name)
	defer n.mu.Unlock()
	e, said := r.of(request.Node.Name, request.Node.Address)
	fresh := &rosterNode{instance: request.Instance, name: request.Node.Name, address: request.Node.Address, cores: request.Node.Cores, offered: request.Node.Memory, state: request.State}
	fresh.memory = fresh.lendable(e)
	request.Node.Memory = fresh.memory
	request.Occupants = r.occupants(fresh)
	reply, err := r.book.register(request, at)
	if err == nil && said && !e.Nameless && !e.Removed && e.at() != request.Node.Address {
		r.book.log.Info("a node was added with another address than its executor manager has; leases go to that one", "node", n.name, "added", e.at(), "has", request.Node.Address)
	}
	if err == nil {
		n.again = false
		n.instance, n.address, n.cores, n.offered, n.memory, n.learned, n.state = fresh.instance, fresh.address, fresh.cores, fresh.offered, fresh.memory, false, fresh.state
	}
	return reply, err
}

// heartbeat is the book's.
func (r *roster) heartbeat(name string, beat api.Heartbeat, at time.Time) (api.HeartbeatReply, error) {
	record, registered := r.registered(name)
	if !registered { // nobody makes us remember names
		return r.book.heartbeat(name, beat, at)
	}
	n := r.node(name)
	defer n.mu.Unlock()
	if n.instance == "" {
		n.instance, n.address, n.cores, n.offered, n.memory, n.learned = beat.Instance, record.Address, record.Cores, record.Memory, record.Memory, true
	}
	if n.instance != beat.Instance {
		return r.book.heartbeat(name, beat, at)
	}
	if n.again {
		return api.HeartbeatReply{}, api.Because(api.ErrUnknownNode, "node %q is to register again: how much memory it offers is not known here", name)
	}
	n.state = beat.State
	beat.Occupants = r.occupants(n)
	reply, err := r.book.heartbeat(name, beat, at)
	if e, _ := r.of(n.name, n.address); err == nil && !n.learned { // a lease may have ended that had more than the bound
		r.bind(n, n.lendable(e), at)
	}
	return reply, err
}

// bind enters how much of a node's memory may be lent. Its leases go on with what they have.
func (r *roster) bind(n *rosterNode, memory int64, at time.Time) {
	if n.memory > 0 && memory > 0 && n.memory != memory {
		n.memory = r.book.bind(n.name, memory, at)
	}
}

// bound is the memory that may be leased, in bytes; 0: all.
func (e entry) bound() int64 { return int64(e.Memory) * megabyte }

// lendable is the memory that a node registers with: not less than leases have of it already.
func (n *rosterNode) lendable(e entry) int64 {
	bound := e.bound()
	if bound == 0 {
		return n.offered
	}
	var lent int64
	for _, held := range n.state.Held {
		for _, e := range held.Executors {
			if !e.Oversubscribed && !e.Lost {
				lent += e.Memory
			}
		}
	}
	if bound = max(bound, lent); n.offered > 0 {
		return min(n.offered, bound)
	}
	return bound
}

// occupants are those of the manager's report, and nobody on the cores that may not be leased. Cores that
// leases have may be; of the others those that nobody uses, the lowest first.
func (r *roster) occupants(n *rosterNode) map[int]string {
	e, said := r.of(n.name, n.address)
	if !said {
		return n.state.Occupants
	}
	by := maps.Clone(n.state.Occupants)
	if by == nil {
		by = map[int]string{}
	}
	left := e.Cores
	why := fmt.Sprintf("nobody (node %s was added with %d of its cores)", n.name, e.Cores)
	if e.Removed {
		left, why = 0, fmt.Sprintf("nobody (node %s was taken out by /remove)", n.name)
	}
	held := map[int]bool{}
	for _, lease := range n.state.Held {
		for _, x := range lease.Executors {
			for core := range x.AllCores() {
				held[core] = held[core] || !x.Oversubscribed && !x.Lost
			}
		}
	}
	for core, taken := range held {
		if taken && slices.Contains(n.cores, core) {
			left--
			if e.Removed && by[core] == "" {
				by[core] = why // its lease goes on, and it is not free afterwards
			}
		}
	}
	for _, core := range slices.Sorted(slices.Values(n.cores)) {
		if held[core] || by[core] != "" {
			continue
		}
		if left--; left < 0 {
			by[core] = why
		}
	}
	return by
}

// add enters what /add says. A node is added once.
func (r *roster) add(name string, a config.Addition, at time.Time) (reply string, err error) {
	if problem := impossible(a.Address); problem != "" {
		return "", api.Because(api.ErrInvalid, "ip_address is %q, which %s; it is the address at which the executor manager of node %s listens", a.Address, problem, name)
	}
	e := entry{Address: a.Address, Port: a.Port, Cores: a.Cores, Memory: a.Memory}
	r.saying.Lock()
	for other, known := range r.said {
		switch {
		case known.Removed:
		case other == name:
			r.saying.Unlock()
			return "", api.Because(api.ErrInvalid, "node %s is there already, at %s with %d cores; POST /remove?node=%s takes it out", name, known.at(), known.Cores, name)
		case known.at() == e.at():
			r.saying.Unlock()
			return "", api.Because(api.ErrInvalid, "%s is the address of node %s, which is there already", e.at(), other)
		}
	}
	err = r.say(name, e)
	r.saying.Unlock()
	if err != nil {
		return "", err
	}
	cores, registered := r.apply(name, at)
	if !registered {
		return fmt.Sprintf("node %s is added; it is leased as soon as its executor manager has registered", name), nil
	}
	return fmt.Sprintf("node %s is added: %d of its %d cores may be leased", name, min(cores, e.Cores), cores), nil
}

// remove enters what /remove says: no new leases of that node.
func (r *roster) remove(name string, a config.Addition, at time.Time) (reply string, err error) {
	_, registered := r.registered(name)
	r.saying.Lock()
	known, said := r.said[name]
	switch {
	case known.Removed:
		err = api.Because(api.ErrUnknownNode, "node %s was taken out before", name)
	case !said && !registered:
		err = api.Because(api.ErrUnknownNode, "there is no node %s; sublet node list shows those whose executor managers have registered", name)
	case said && (a.Address != "" && a.Address != known.Address || a.Port != 0 && a.Port != known.Port):
		err = api.Because(api.ErrInvalid, "node %s is at %s; the body says %s", name, known.at(), entry{Address: a.Address, Port: a.Port}.at())
	case said && a.Cores != 0 && a.Cores != known.Cores:
		err = api.Because(api.ErrInvalid, "node %s is there with %d cores, and is taken out with all of them; cores is %d: leave it out", name, known.Cores, a.Cores)
	default:
		known.Removed = true
		err = r.say(name, known)
	}
	r.saying.Unlock()
	if err != nil {
		return "", err
	}
	r.apply(name, at)
	return fmt.Sprintf("node %s is taken out: leases that it has go on, and there will be no new ones", name), nil
}

// apply brings the book up to what is said of a node by now. It returns how many cores it has registered.
func (r *roster) apply(name string, at time.Time) (cores int, registered bool) {
	n := r.node(name)
	defer n.mu.Unlock()
	if n.instance == "" {
		return 0, false
	}
	e, _ := r.of(n.name, n.address)
	switch {
	case !n.learned:
		r.bind(n, n.lendable(e), at)
	case !e.Removed: // until its manager has said what it offers, no more than was lent before
		n.again = true
		if bound := e.bound(); bound > 0 {
			r.bind(n, min(bound, n.memory), at)
		}
	}
	return len(n.cores), r.book.reoccupy(name, r.occupants(n), at)
}

// impossible says why nobody can be at an address; empty: somebody can.
func impossible(address string) string {
	ip, err := netip.ParseAddr(address)
	switch {
	case err != nil: // the name of a host
		return ""
	case ip.IsUnspecified():
		return "is no address of one host"
	case ip.IsMulticast(), ip == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return "is an address of many hosts"
	}
	return ""
}
