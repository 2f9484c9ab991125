package server

import (
	"bytes"
	"errors"
	"reflect"
	"slices"
	"time"

	"github.com/sublet-hpc/sublet/resources/api"
	"github.com/sublet-hpc/sublet/resources/ledger"
	"github.com/sublet-hpc/sublet/resources/replica"
)

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
