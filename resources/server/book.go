package server

import (
	"log/slog"
	"maps"
	"net"
	"slices"
	"sync"
	"time"

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
