package server

import (
	"bytes"
	"errors"
	"log/slog"
	"maps"
	"net"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sublet-hpc/sublet/resources/api"
	"github.com/sublet-hpc/sublet/resources/ledger"
	"github.com/sublet-hpc/sublet/resources/replica"
)

const (
	// TTL is how long a lease lasts that nobody renews: what a client that dies between the grant
	// and its first connection costs.
	TTL = 20 * time.Second
	// limitPatience is how long after the end of a lease's time limit its managers may still report it.
	limitPatience = 2 * time.Second
	// remembered is how long the names of ended leases are kept, so that a report that was on its
	// way does not bring them back.
	remembered = time.Minute
)

// book is the ledger with what only the running process has: who was heard of when, when leases were
// renewed, and those who wait. Times come in as arguments. What its methods return, nobody may be told
// before the ledger's Mark of afterwards has been waited for.
type book struct {
	log    *slog.Logger
	uid    int
	ledger *replica.Replica

	mu       sync.Mutex
	state    *ledger.State        // the replica's
	managers map[string]*manager  // by node
	expires  map[string]time.Time // when leases end that nobody renews
	waiting  []*waiter            // who came first is first
	// onTheWay are leases that no manager has reported yet, and the connections of their clients.
	onTheWay map[string]net.Conn

	metered    map[string]*metered // by node
	began      time.Time           // when this process did
	settleNext time.Time
	quotas     *quotas // nil: there are none

	counts *counts
}

// manager is what the ledger does not keep of a registered node.
type manager struct {
	beat     uint64
	seen     time.Time
	interval time.Duration // that it was told last
}

// isSilent tells whether a manager is to be written off.
func (m *manager) isSilent(at time.Time) bool { return at.Sub(m.seen) > silence(m.interval) }

// interval tells a manager how often to report. mu is held.
func (b *book) interval(name string) time.Duration {
	m := b.managers[name]
	m.interval = intervalFor(len(b.managers))
	return m.interval
}

// newBook begins with what the ledger has. Managers and leases of before have as long as if they had
// been heard of just now.
func newBook(uid int, its *replica.Replica, log *slog.Logger, at time.Time) *book {
	b := &book{
		log: log, uid: uid, ledger: its, managers: map[string]*manager{}, expires: map[string]time.Time{},
		onTheWay: map[string]net.Conn{}, counts: newCounts(),
		metered: map[string]*metered{}, began: at,
	}
	b.lock(at)
	defer b.mu.Unlock()
	return b
}

// lock locks the book, and brings what is beside the ledger up to it: another replica may have led meanwhile.
func (b *book) lock(at time.Time) {
	b.mu.Lock()
	state := b.ledger.State()
	if state == b.state {
		return
	}
	b.state = state
	interval := intervalFor(len(state.Nodes))
	for name := range state.Nodes {
		if b.managers[name] == nil {
			b.managers[name] = &manager{seen: at, interval: interval}
		}
	}
	maps.DeleteFunc(b.managers, func(name string, _ *manager) bool { return state.Nodes[name] == nil })
	for id := range state.Leases {
		if _, known := b.expires[id]; !known {
			b.expires[id] = at.Add(lasting(interval))
		}
	}
	maps.DeleteFunc(b.expires, func(id string, _ time.Time) bool { return state.Leases[id] == nil })
}

// apply changes the ledger, ahead of the disk. mu is held.
func (b *book) apply(command ledger.Command) (ledger.Result, error) {
	result, err := b.ledger.Propose(command)
	for _, lease := range result.Leases {
		if lease.Ended.IsZero() {
			continue
		}
		delete(b.onTheWay, lease.ID)
		delete(b.expires, lease.ID)
		b.counts.ended.WithLabelValues(endingOf(command)).Inc()
		b.log.Info("lease ended", "lease", lease.ID, "why", commandName(command))
	}
	return result, err
}

func commandName(command ledger.Command) string {
	switch command.(type) {
	case ledger.Release:
		return "released"
	case ledger.ReleasePart:
		return "its managers have ended it"
	case ledger.Expire:
		return "nobody renewed it"
	case ledger.RemoveNode:
		return "its nodes have gone"
	case ledger.ForgetNode:
		return "its nodes were removed"
	}
	return "changed"
}

// register makes a node known. A manager that was silent brings its leases with it.
func (b *book) register(r api.Register, at time.Time) (api.HeartbeatReply, error) {
	if r.Instance == "" || len(r.Key) != api.KeySize {
		return api.HeartbeatReply{}, api.Because(api.ErrInvalid, "a manager registers with an instance and a key of %d bytes", api.KeySize)
	}
	if r.Node.UID != b.uid {
		return api.HeartbeatReply{}, api.Because(api.ErrUnauthorized, "node %q serves user %s (%d); this resource manager serves user %d alone", r.Node.Name, r.Node.User, r.Node.UID, b.uid)
	}
	b.lock(at)
	defer b.mu.Unlock()
	name := r.Node.Name
	if err := b.checkRemoved(name, r.Instance); err != nil {
		return api.HeartbeatReply{}, err
	}
	if known := b.state.Nodes[name]; known != nil {
		if known.Instance != r.Instance {
			return api.HeartbeatReply{}, api.Because(api.ErrExists, "another executor manager (process %d, %s) is registered as node %q; end it, or give this one another --name",
				known.Record.PID, known.Record.Address, name)
		}
		if isRegistered(known, r) {
			return b.registerAgain(r, at), nil
		}
		b.remove(name, at)
	}
	if _, err := b.apply(ledger.RegisterNode{Node: r.Node, Instance: r.Instance, Key: r.Key}); err != nil {
		return api.HeartbeatReply{}, err
	}
	b.managers[name] = &manager{seen: at, interval: Interval}
	b.giveUpParts(name, r.Used, at)
	b.log.Info("node registered", "node", name, "cores", r.Node.Cores, "memory", r.Node.Memory, "address", r.Node.Address, "leases", len(r.Held))
	return b.reconcile(name, r.State, at), nil
}

// isRegistered tells whether a manager has registered as it does now, but for the memory that is lent.
func isRegistered(known *ledger.Node, r api.Register) bool {
	was, is := known.Record.Clone(), r.Node.Clone()
	if was.Memory == 0 || is.Memory == 0 || !bytes.Equal(known.Key, r.Key) {
		return false
	}
	was.Memory = is.Memory
	slices.Sort(is.Cores)
	return reflect.DeepEqual(was, is)
}

// registerAgain is for a manager that did not get the answer, or that was told to say again what it offers. Its
// leases go on, in the book as well. mu is held.
func (b *book) registerAgain(r api.Register, at time.Time) api.HeartbeatReply {
	name := r.Node.Name
	if _, err := b.apply(ledger.BoundNode{Node: name, Memory: r.Node.Memory}); err != nil {
		b.log.Error("it could not be noted how much memory of a node may be leased", "node", name, "error", err)
	}
	b.managers[name].seen = at
	b.log.Info("node registered again", "node", name, "memory", r.Node.Memory, "leases", len(r.Held))
	return b.reconcile(name, r.State, at)
}

// heartbeat notes that a manager is there and what it has.
func (b *book) heartbeat(name string, beat api.Heartbeat, at time.Time) (api.HeartbeatReply, error) {
	b.lock(at)
	defer b.mu.Unlock()
	if err := b.checkRemoved(name, beat.Instance); err != nil {
		b.lastWords(name, beat.Used, at)
		return api.HeartbeatReply{}, err
	}
	known, node := b.managers[name], b.state.Nodes[name]
	if node == nil || node.Instance != beat.Instance {
		return api.HeartbeatReply{}, api.Because(api.ErrUnknownNode, "node %q is not registered, or no longer", name)
	}
	known.seen = at
	if beat.Beat <= known.beat {
		return api.HeartbeatReply{Drain: b.state.Drain(name, at), Interval: b.interval(name)}, nil // overtaken
	}
	known.beat = beat.Beat
	return b.reconcile(name, beat.State, at), nil
}

// reconcile brings the book up to what a manager says it has. The manager is right about what runs,
// the book about what may. mu is held.
func (b *book) reconcile(name string, state api.State, at time.Time) (reply api.HeartbeatReply) {
	reply.Interval = b.interval(name) // what it holds lasts as long as it can be silent
	b.meter(name, state.Used, at)
	for _, id := range state.Ended {
		b.partEnded(id, name, at)
	}
	for _, held := range state.Held {
		if !b.adopt(name, held, at) {
			reply.End = append(reply.End, held.Lease)
		}
	}
	if _, err := b.apply(ledger.Occupants{Node: name, By: state.Occupants}); err != nil {
		b.log.Warn("a manager says who occupies its cores, and makes no sense", "node", name, "error", err)
	}
	if _, err := b.apply(ledger.Foresee{Node: name, Outlook: state.Outlook}); err != nil {
		b.log.Warn("a manager says for how long its node will be lent, and makes no sense", "node", name, "error", err)
	}
	b.serveWaiting(at)
	reply.Drain = b.state.Drain(name, at)
	return reply
}

// partEnded notes that nothing of a lease is left on a node. A manager says so until it is answered.
func (b *book) partEnded(id, name string, at time.Time) {
	remember := at.Add(remembered)
	_, err := b.apply(ledger.ReleasePart{Lease: id, Node: name, At: at, Remember: remember})
	if errors.Is(err, ledger.ErrUnknown) {
		_, gone := b.state.Ended[id]
		_, partGone := b.state.Ended[ledger.PartOf(id, name)]
		if gone || partGone {
			return
		}
		_, err = b.apply(ledger.Remember{Name: ledger.PartOf(id, name), Until: remember})
	}
	if err != nil {
		b.log.Error("the end of a lease could not be noted", "lease", id, "node", name, "error", err)
	}
}

// adopt enters what a manager holds of a lease; false: it must end it.
func (b *book) adopt(name string, held api.Held, at time.Time) bool {
	_, gone := b.state.Ended[held.Lease]
	_, partGone := b.state.Ended[ledger.PartOf(held.Lease, name)]
	_, ending := b.state.Ending[held.Lease]
	if gone || partGone || ending || held.UID != b.uid {
		return false
	}
	if !held.Until.IsZero() && at.After(held.Until.Add(limitPatience)) {
		b.log.Warn("a manager holds a lease whose time limit is over, and is told to end it; do the clocks of the nodes agree?", "lease", held.Lease, "node", name, "until", held.Until)
		return false
	}
	for i := range held.Executors {
		held.Executors[i].Node = name // it speaks for itself alone
	}
	lease := api.Lease{ID: held.Lease, UID: held.UID, User: held.User, Account: held.Account, Granted: held.Granted, Until: held.Until, Expires: at.Add(lasting(b.managers[name].interval))}
	delete(b.onTheWay, held.Lease)
	_, known := b.state.Leases[held.Lease]
	_, err := b.apply(ledger.Adopt{Lease: lease, Executors: held.Executors})
	if errors.Is(err, replica.ErrUnavailable) {
		return true // it may well be right
	}
	if err != nil {
		b.log.Warn("a manager holds what is not its lease's, and is told to end it", "lease", held.Lease, "node", name, "error", err)
		return false
	}
	if !known {
		b.log.Info("a lease has come back", "lease", held.Lease, "node", name)
	}
	b.renewed(held.Lease, b.managers[name].interval, at)
	return true
}

// deregister forgets a node whose manager ends.
func (b *book) deregister(name, instance string, at time.Time) error {
	b.lock(at)
	defer b.mu.Unlock()
	if node := b.state.Nodes[name]; node == nil || node.Instance != instance {
		return api.Because(api.ErrUnknownNode, "node %q is not registered, or no longer", name)
	}
	b.remove(name, at)
	b.log.Info("node deregistered", "node", name)
	return nil
}

// remove forgets a node. What it has may come back, so that its names are not among those that have ended.
func (b *book) remove(name string, at time.Time) {
	b.bookRest(name, at)
	if _, err := b.apply(ledger.RemoveNode{Node: name, At: at}); err != nil {
		b.log.Error("a node could not be removed", "node", name, "error", err)
		return
	}
	delete(b.managers, name)
}

// tick writes off who is silent and ends what has expired.
func (b *book) tick(at time.Time) {
	b.lock(at)
	defer b.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(b.managers)) {
		if m := b.managers[name]; m.isSilent(at) {
			b.log.Warn("a node is silent and is written off", "node", name, "silent", at.Sub(m.seen).Round(time.Millisecond), "interval", m.interval)
			b.counts.writtenOff.Inc()
			b.remove(name, at)
		}
	}
	b.expire(at)
	b.forget(at)
	b.settle(at)
	b.serveWaiting(at)
}

func (b *book) expire(at time.Time) {
	var over []string
	for id, expires := range b.expires {
		if !expires.After(at) {
			over = append(over, id)
		}
	}
	if len(over) == 0 {
		return
	}
	slices.Sort(over)
	if _, err := b.apply(ledger.Expire{Leases: over, At: at, Remember: at.Add(remembered)}); err != nil {
		b.log.Error("leases that have expired could not be ended", "leases", over, "error", err)
	}
}

// forget drops names that have been remembered for long enough.
func (b *book) forget(at time.Time) {
	if !b.state.Overdue(at) {
		return
	}
	if _, err := b.apply(ledger.Forget{At: at}); err != nil {
		b.log.Error("what has ended could not be forgotten", "error", err)
	}
}

// record is a copy of a lease's, with the time at which it ends unless it is renewed, and that at which the first of its nodes'
// allocations does. mu is held.
func (b *book) record(lease *api.Lease) api.Lease {
	record := lease.Clone()
	record.Expires = b.expires[lease.ID]
	for _, name := range record.Nodes() {
		node := b.state.Nodes[name]
		if node == nil || node.Outlook.Ends.IsZero() {
			continue
		}
		if record.AllocationEnds.IsZero() || node.Outlook.Ends.Before(record.AllocationEnds) {
			record.AllocationEnds = node.Outlook.Ends
		}
	}
	return record
}

// leases lists those that last, by their beginning.
func (b *book) leases() []api.Lease {
	b.mu.Lock()
	defer b.mu.Unlock()
	list := []api.Lease{}
	for _, lease := range b.state.Leases {
		list = append(list, b.record(lease))
	}
	slices.SortFunc(list, func(x, y api.Lease) int {
		if c := x.Granted.Compare(y.Granted); c != 0 {
			return c
		}
		return strings.Compare(x.ID, y.ID)
	})
	return list
}

// nodes lists those that are registered, by name.
func (b *book) nodes(boot string, at time.Time) []api.NodeStatus {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.listNodes(boot, at)
}

func (b *book) listNodes(boot string, at time.Time) []api.NodeStatus {
	list := []api.NodeStatus{}
	index := map[string]int{}
	for _, name := range slices.Sorted(maps.Keys(b.state.Nodes)) {
		node := b.state.Nodes[name]
		if boot != "" && node.Record.Boot != boot {
			continue
		}
		status := api.NodeStatus{
			Node: node.Record.Clone(), Drain: b.state.Drain(name, at), Outlook: node.Outlook, Free: node.Free(),
			Leases: []string{}, Occupants: map[int]string{}, Seen: b.managers[name].seen, Interval: b.managers[name].interval,
		}
		for _, core := range node.Cores {
			if core.Occupant != "" {
				status.Occupants[core.ID] = core.Occupant
			}
		}
		index[name] = len(list)
		list = append(list, status)
	}
	for _, id := range slices.Sorted(maps.Keys(b.state.Leases)) {
		for _, name := range b.state.Leases[id].Nodes() {
			if i, listed := index[name]; listed {
				list[i].Leases = append(list[i].Leases, id)
			}
		}
	}
	for i := range list {
		list[i].State = stateOf(&list[i], at)
	}
	return list
}
