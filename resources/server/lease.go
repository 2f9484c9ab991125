package server

import (
	"net"
	"slices"
	"strings"
	"time"

	"github.com/sublet-hpc/sublet/resources/api"
	"github.com/sublet-hpc/sublet/resources/ledger"
)

// tickets signs a lease's tickets, which are their owner's alone.
func (b *book) tickets(lease api.Lease, owner []byte) ([]api.Access, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var tickets []api.Access
	for _, name := range lease.Nodes() {
		node := b.state.Nodes[name]
		if node == nil {
			return nil, api.Because(api.ErrNoCapacity, "node %q has gone while it was being lent; ask again", name)
		}
		ticket := api.Ticket{Lease: lease.ID, Node: name, UID: lease.UID, User: lease.User, Account: lease.Account, Owner: owner, Granted: lease.Granted, Expires: lease.Expires, Until: lease.Until}
		for i, e := range lease.Executors {
			if e.Node == name {
				ticket.Executors = append(ticket.Executors, api.Placed{Index: i, Executor: e})
			}
		}
		signed, err := ticket.Sign(node.Key)
		if err != nil {
			return nil, err
		}
		tickets = append(tickets, api.Access{Node: name, Reach: node.Record.Reach, Executors: ticket.Executors, Ticket: signed})
	}
	return tickets, nil
}

// send notes over which connection a lease is on its way; nil: it is bound to none.
func (b *book) send(lease string, conn net.Conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, lasts := b.state.Leases[lease]; lasts {
		b.onTheWay[lease] = conn
	}
}

// hungUp ends the leases that were on their way over a connection: their client is gone. Once a
// manager holds a lease, that is who notices.
func (b *book) hungUp(conn net.Conn, at time.Time) {
	b.lock(at)
	defer b.mu.Unlock()
	var its []string
	for id, over := range b.onTheWay {
		if over == conn {
			its = append(its, id)
		}
	}
	if len(its) == 0 {
		return
	}
	for _, id := range its {
		b.log.Info("a client has gone before it used its lease", "lease", id)
		if _, err := b.apply(ledger.Release{Lease: id, At: at, Remember: at.Add(remembered)}); err != nil {
			b.log.Warn("that lease could not be ended, and will be when its time is over", "lease", id, "error", err)
		}
	}
	b.serveWaiting(at)
}

// renew makes a lease last longer. It is not written: after a start all leases last as long as if they had
// just been renewed.
func (b *book) renew(id string, at time.Time) (time.Time, error) {
	b.lock(at)
	defer b.mu.Unlock()
	if b.state.Leases[id] == nil {
		return time.Time{}, api.Because(api.ErrUnknownLease, "there is no lease %q; it has ended, or never was", id)
	}
	b.renewed(id, intervalFor(len(b.managers)), at)
	return b.expires[id], nil
}

// renewed makes a lease last longer, and never shorter. mu is held.
func (b *book) renewed(id string, interval time.Duration, at time.Time) {
	if later := at.Add(lasting(interval)); later.After(b.expires[id]) {
		b.expires[id] = later
	}
}

func (b *book) release(id string, at time.Time) error {
	b.lock(at)
	defer b.mu.Unlock()
	_, err := b.apply(ledger.Release{Lease: id, At: at, Remember: at.Add(remembered)})
	if err == nil {
		b.serveWaiting(at)
	}
	return err
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
