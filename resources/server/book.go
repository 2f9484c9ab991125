package server

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"log/slog"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sublet-hpc/sublet/resources/api"
	"github.com/sublet-hpc/sublet/resources/ledger"
)

const (
	// Interval is how often managers are to be heard of.
	Interval = time.Second
	// Silence is when they are written off.
	Silence = 3 * Interval
	// TTL is how long a lease lasts that nobody renews: what a client that dies between the grant
	// and its first connection costs.
	TTL = 20 * time.Second
	// remembered is how long the names of ended leases are kept, so that a report that was on its
	// way does not bring them back.
	remembered = time.Minute
)

// book is the ledger with what only the running process has: who was heard of when, keys, and
// those who wait. Times come in as arguments.
type book struct {
	log *slog.Logger
	uid int

	mu       sync.Mutex
	state    *ledger.State
	managers map[string]*manager // by node
	ended    map[string]time.Time
	removed  map[string]time.Time // instances of managers that are to end, and until when that is remembered
	waiting  []*waiter            // who came first is first
	// onTheWay are leases that no manager has reported yet, and the connections of their clients.
	onTheWay map[string]net.Conn

	// ending are leases that managers are told to end, because somebody has asked for that.
	ending map[string]bool

	counts *counts
}

// manager is what the ledger does not keep of a registered node.
type manager struct {
	instance string
	key      []byte
	beat     uint64
	seen     time.Time
}

// waiter is a grant that waits for cores.
type waiter struct {
	command ledger.Grant
	since   time.Time
	until   time.Time
	done    chan struct{} // closed when lease and err do not change any more
	lease   api.Lease
	err     error // why not yet
}

func newBook(uid int, log *slog.Logger) *book {
	return &book{log: log, uid: uid, state: ledger.New(), managers: map[string]*manager{}, ended: map[string]time.Time{}, removed: map[string]time.Time{}, onTheWay: map[string]net.Conn{}, ending: map[string]bool{}, counts: newCounts()}
}

// apply changes the ledger and remembers what has ended. mu is held.
func (b *book) apply(command ledger.Command, at time.Time) (ledger.Result, error) {
	result, err := ledger.Apply(b.state, command)
	for _, lease := range result.Leases {
		if lease.Ended.IsZero() {
			continue
		}
		delete(b.onTheWay, lease.ID)
		delete(b.ending, lease.ID)
		b.counts.ended.WithLabelValues(endingOf(command)).Inc()
		b.log.Info("lease ended", "lease", lease.ID, "why", commandName(command))
		if _, writtenOff := command.(ledger.RemoveNode); !writtenOff { // those may come back
			b.ended[lease.ID] = at.Add(remembered)
		}
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
	b.mu.Lock()
	defer b.mu.Unlock()
	name := r.Node.Name
	if err := b.checkRemoved(name, r.Instance); err != nil {
		return api.HeartbeatReply{}, err
	}
	if known := b.managers[name]; known != nil {
		if known.instance != r.Instance {
			return api.HeartbeatReply{}, api.Because(api.ErrExists, "another executor manager (process %d, %s) is registered as node %q; end it, or give this one another --name",
				b.state.Nodes[name].Record.PID, b.state.Nodes[name].Record.Address, name)
		}
		b.remove(name, at) // it did not get the answer
	}
	if _, err := b.apply(ledger.RegisterNode{Node: r.Node}, at); err != nil {
		return api.HeartbeatReply{}, err
	}
	b.managers[name] = &manager{instance: r.Instance, key: r.Key, seen: at}
	b.log.Info("node registered", "node", name, "cores", r.Node.Cores, "memory", r.Node.Memory, "address", r.Node.Address, "leases", len(r.Held))
	return b.reconcile(name, r.State, at), nil
}

// heartbeat notes that a manager is there and what it has.
func (b *book) heartbeat(name string, beat api.Heartbeat, at time.Time) (api.HeartbeatReply, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.checkRemoved(name, beat.Instance); err != nil {
		return api.HeartbeatReply{}, err
	}
	known := b.managers[name]
	if known == nil || known.instance != beat.Instance {
		return api.HeartbeatReply{}, api.Because(api.ErrUnknownNode, "node %q is not registered, or no longer", name)
	}
	known.seen = at
	if beat.Beat <= known.beat {
		return api.HeartbeatReply{Drain: b.drain(name)}, nil // overtaken
	}
	known.beat = beat.Beat
	return b.reconcile(name, beat.State, at), nil
}

// reconcile brings the book up to what a manager says it has. The manager is right about what runs,
// the book about what may. mu is held.
func (b *book) reconcile(name string, state api.State, at time.Time) (reply api.HeartbeatReply) {
	for _, id := range state.Ended {
		if _, err := b.apply(ledger.ReleasePart{Lease: id, Node: name, At: at}, at); err != nil && !errors.Is(err, ledger.ErrUnknown) {
			b.log.Error("the end of a lease could not be noted", "lease", id, "node", name, "error", err)
		}
		b.ended[id+"@"+name] = at.Add(remembered)
	}
	for _, held := range state.Held {
		if !b.adopt(name, held, at) {
			reply.End = append(reply.End, held.Lease)
		}
	}
	if _, err := b.apply(ledger.Occupants{Node: name, By: state.Occupants}, at); err != nil {
		b.log.Warn("a manager says who occupies its cores, and makes no sense", "node", name, "error", err)
	}
	b.serveWaiting(at)
	reply.Drain = b.drain(name)
	return reply
}

// adopt enters what a manager holds of a lease; false: it must end it.
func (b *book) adopt(name string, held api.Held, at time.Time) bool {
	_, gone := b.ended[held.Lease]
	_, partGone := b.ended[held.Lease+"@"+name]
	if gone || partGone || b.ending[held.Lease] || held.UID != b.uid {
		return false
	}
	for i := range held.Executors {
		held.Executors[i].Node = name // it speaks for itself alone
	}
	lease := api.Lease{ID: held.Lease, UID: held.UID, User: held.User, Account: held.Account, Granted: held.Granted, Expires: at.Add(TTL)}
	delete(b.onTheWay, held.Lease)
	_, known := b.state.Leases[held.Lease]
	if _, err := b.apply(ledger.Adopt{Lease: lease, Executors: held.Executors}, at); err != nil {
		b.log.Warn("a manager holds what is not its lease's, and is told to end it", "lease", held.Lease, "node", name, "error", err)
		return false
	}
	if !known {
		b.log.Info("a lease has come back", "lease", held.Lease, "node", name)
	}
	_, err := b.apply(ledger.Renew{Lease: held.Lease, Expires: at.Add(TTL)}, at)
	return err == nil
}

// deregister forgets a node whose manager ends.
func (b *book) deregister(name, instance string, at time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	known := b.managers[name]
	if known == nil || known.instance != instance {
		return api.Because(api.ErrUnknownNode, "node %q is not registered, or no longer", name)
	}
	b.remove(name, at)
	b.log.Info("node deregistered", "node", name)
	return nil
}

func (b *book) remove(name string, at time.Time) {
	delete(b.managers, name)
	if _, err := b.apply(ledger.RemoveNode{Node: name, At: at}, at); err != nil {
		b.log.Error("a node could not be removed", "node", name, "error", err)
	}
}

// tick writes off who is silent and ends what has expired.
func (b *book) tick(at time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for name, known := range b.managers {
		if silent := at.Sub(known.seen); silent > Silence {
			b.log.Warn("a node is silent and is written off", "node", name, "silent", silent.Round(time.Millisecond))
			b.counts.writtenOff.Inc()
			b.remove(name, at)
		}
	}
	_, _ = b.apply(ledger.Expire{At: at}, at) // never fails
	for _, remembered := range []map[string]time.Time{b.ended, b.removed} {
		maps.DeleteFunc(remembered, func(_ string, until time.Time) bool { return until.Before(at) })
	}
	b.serveWaiting(at)
}

// ask grants a lease at once, or returns who waits for it.
func (b *book) ask(request api.GrantRequest, at time.Time) (*waiter, error) {
	if request.UID != b.uid {
		return nil, api.Because(api.ErrUnauthorized, "user %s (%d) asks for a lease; this resource manager serves user %d alone", request.User, request.UID, b.uid)
	}
	if request.Executors > maxExecutors {
		return nil, api.Because(api.ErrInvalid, "a lease of %d executors; it can be at most %d", request.Executors, maxExecutors)
	}
	id := make([]byte, 6)
	_, _ = rand.Read(id) // never fails
	w := &waiter{since: at, until: at.Add(request.Wait), done: make(chan struct{}), command: ledger.Grant{
		Lease: hex.EncodeToString(id), UID: request.UID, User: request.User, Account: request.Account,
		Executors: request.Executors, Memory: request.Memory, Oversubscribe: request.Oversubscribe,
	}}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiting = append(b.waiting, w) // those who came before are served before
	b.serveWaiting(at)
	if last := len(b.waiting) - 1; request.Wait <= 0 && last >= 0 && b.waiting[last] == w {
		b.waiting = b.waiting[:last]
		close(w.done)
	}
	return w, nil
}

// mayWait tells whether time can heal a refusal.
func mayWait(err error) bool {
	var missing *ledger.NoCapacity
	return errors.As(err, &missing) || errors.Is(err, ledger.ErrDraining)
}

// try grants a lease, or notes why not; first is who has waited longest for leases to end, or nil: what
// that one waits for is left.
func (b *book) try(w, first *waiter, at time.Time) {
	w.command.At, w.command.Expires = at, at.Add(TTL)
	w.command.Keep, w.command.KeepMemory = 0, 0
	if first != nil {
		w.command.Keep = first.command.Executors
		w.command.KeepMemory = int64(first.command.Executors) * first.command.Memory
	}
	result, err := b.apply(w.command, at)
	if w.err = err; err == nil {
		w.lease = result.Leases[0]
		b.counts.waited.Observe(at.Sub(w.since).Seconds())
	}
}

// serveWaiting grants what can be granted, first come, first served. The first who has to wait for
// leases to end has all cores and memory that come free meanwhile; nobody knows when leases end, so whoever
// passed could delay that one for ever. One who asks for more than leases can give back waits for
// another node, and holds nobody up.
func (b *book) serveWaiting(at time.Time) {
	var first *waiter
	b.waiting = slices.DeleteFunc(b.waiting, func(w *waiter) bool {
		b.try(w, first, at)
		if w.err == nil || !mayWait(w.err) {
			close(w.done)
			return true
		}
		var missing *ledger.NoCapacity
		if first == nil && errors.As(w.err, &missing) && missing.CanBeMet() {
			first = w
		}
		return false
	})
}

// giveUp ends a waiting; the waiter has its lease, or the reason why not.
func (b *book) giveUp(w *waiter, at time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if i := slices.Index(b.waiting, w); i >= 0 {
		b.waiting = slices.Delete(b.waiting, i, i+1)
		close(w.done)
		b.serveWaiting(at) // it may have held others up
	}
}

// tickets signs a lease's tickets.
func (b *book) tickets(lease api.Lease) ([]api.Access, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var tickets []api.Access
	for _, name := range lease.Nodes() {
		known, node := b.managers[name], b.state.Nodes[name]
		if known == nil {
			return nil, api.Because(api.ErrNoCapacity, "node %q has gone while it was being lent; ask again", name)
		}
		ticket := api.Ticket{Lease: lease.ID, Node: name, UID: lease.UID, User: lease.User, Account: lease.Account, Granted: lease.Granted, Expires: lease.Expires}
		for i, e := range lease.Executors {
			if e.Node == name {
				ticket.Executors = append(ticket.Executors, api.Placed{Index: i, Executor: e})
			}
		}
		signed, err := ticket.Sign(known.key)
		if err != nil {
			return nil, err
		}
		tickets = append(tickets, api.Access{Node: name, Reach: node.Record.Reach, Executors: ticket.Executors, Ticket: signed})
	}
	return tickets, nil
}

// send notes over which connection a lease is on its way.
func (b *book) send(lease string, conn net.Conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, lasts := b.state.Leases[lease]; lasts && conn != nil {
		b.onTheWay[lease] = conn
	}
}

// hungUp ends the leases that were on their way over a connection: their client is gone. Once a
// manager holds a lease, that is who notices.
func (b *book) hungUp(conn net.Conn, at time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for id, its := range b.onTheWay {
		if its == conn {
			b.log.Info("a client has gone before it used its lease", "lease", id)
			_, _ = b.apply(ledger.Release{Lease: id, At: at}, at) // it lasts
		}
	}
	b.serveWaiting(at)
}

func (b *book) renew(id string, at time.Time) (time.Time, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	result, err := b.apply(ledger.Renew{Lease: id, Expires: at.Add(TTL)}, at)
	if err != nil {
		return time.Time{}, err
	}
	return result.Leases[0].Expires, nil
}

func (b *book) release(id string, at time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, err := b.apply(ledger.Release{Lease: id, At: at}, at)
	b.serveWaiting(at)
	return err
}

// leases lists those that last, by their beginning.
func (b *book) leases() []api.Lease {
	b.mu.Lock()
	defer b.mu.Unlock()
	list := []api.Lease{}
	for _, lease := range b.state.Leases {
		list = append(list, lease.Clone())
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
			Node: node.Record.Clone(), Drain: b.drain(name), Free: node.Free(),
			Leases: []string{}, Occupants: map[int]string{}, Seen: b.managers[name].seen,
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
