package server

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/sublet-hpc/sublet/resources/api"
	"github.com/sublet-hpc/sublet/resources/ledger"
)

// explain says what a request waits for, or where a lease is.
func (b *book) explain(id string, at time.Time) (api.Explanation, error) {
	b.lock(at)
	defer b.mu.Unlock()
	for i, w := range b.waiting {
		if w.command.Lease == id {
			waiting := b.describeWaiting(i)
			waiting.Holders = b.holders(w, at)
			return api.Explanation{ID: id, State: api.LeaseWaiting, Waiting: &waiting}, nil
		}
	}
	lease, lasts := b.state.Leases[id]
	if !lasts {
		return api.Explanation{}, b.unknownLease(id)
	}
	record := b.record(lease)
	explanation := api.Explanation{ID: id, State: b.leaseState(id), Lease: &record, Parts: b.parts(record, at)}
	return explanation, nil
}

// oneLease is the record of a lease that lasts.
func (b *book) oneLease(id string) (api.Lease, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if lease, lasts := b.state.Leases[id]; lasts {
		return b.record(lease), nil
	}
	return api.Lease{}, b.unknownLease(id)
}

// lease makes the errors of leases that are not there.
func (b *book) lease(id string, err error) error {
	if !errors.Is(err, ledger.ErrUnknown) {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.unknownLease(id)
}

// unknownLease says why there is none. mu is held.
func (b *book) unknownLease(id string) error {
	if slices.ContainsFunc(b.waiting, func(w *waiter) bool { return w.command.Lease == id }) {
		return api.Because(api.ErrUnknownLease, "%q is a request that waits and no lease yet; sublet explain %s says for what", id, id)
	}
	if _, ended := b.state.Ended[id]; ended {
		return api.Because(api.ErrUnknownLease, "lease %q has ended a moment ago", id)
	}
	return api.Because(api.ErrUnknownLease, "there is no lease %q; it has ended, or never was; sublet lease list shows those that last", id)
}

// leaseState says how far a lease has come. mu is held.
func (b *book) leaseState(id string) api.LeaseState {
	if _, onTheWay := b.onTheWay[id]; onTheWay {
		return api.LeaseOnTheWay
	}
	if _, ending := b.state.Ending[id]; ending {
		return api.LeaseEnding
	}
	return api.LeaseHeld
}

// describeWaiting says what the waiter of an index waits for. mu is held.
func (b *book) describeWaiting(index int) api.Waiting {
	w := b.waiting[index]
	grant := w.command
	waiting := api.Waiting{
		ID: grant.Lease, UID: grant.UID, User: grant.User, Account: grant.Account,
		Executors: grant.Executors, CoresPerExecutor: grant.CoresPerExecutor, Memory: grant.Memory, Placement: grant.Placement, TimeLimit: w.limit, Since: w.since, Until: w.until, Position: index + 1,
		Asked: api.Resources{api.Cores: int64(grant.Cores()), api.Memory: int64(grant.Executors) * grant.Memory},
	}
	if w.err != nil {
		waiting.Reason = w.err.Error()
	}
	var missing *ledger.NoCapacity
	if !errors.As(w.err, &missing) { // all nodes drain
		waiting.Draining = b.state.Draining(w.command.At)
		return waiting
	}
	waiting.Free, waiting.Has, waiting.Room = missing.Free, missing.Has, missing.Room
	waiting.CanBeMet, waiting.Draining = missing.CanBeMet(), missing.Draining
	if missing.Kept > 0 {
		waiting.Behind = b.first(index)
	}
	return waiting
}

// first is the request before an index for which cores are kept; see serveWaiting. mu is held.
func (b *book) first(index int) string {
	for _, w := range b.waiting[:index] {
		var missing *ledger.NoCapacity
		if errors.As(w.err, &missing) && missing.CanBeMet() {
			return w.command.Lease
		}
	}
	return ""
}

// holders have the cores that a waiter could have. mu is held.
func (b *book) holders(w *waiter, at time.Time) []api.Holder {
	var missing *ledger.NoCapacity
	if !errors.As(w.err, &missing) {
		return nil
	}
	var holders []api.Holder
	for _, user := range missing.Users {
		holder := api.Holder{Node: user.Node, Cores: user.Cores, By: user.By, Lease: user.Lease, Free: "when that program ends"}
		lease := b.state.Leases[user.Lease]
		switch {
		case lease == nil: // used without one
			if user.Lease != "" {
				continue // it has ended since
			}
		case b.leaseState(lease.ID) == api.LeaseOnTheWay:
			holder.User, holder.Since, holder.FreeBy = lease.User, lease.Granted, b.expires[lease.ID]
			holder.Free = fmt.Sprintf("in %v at the latest, unless its program uses it by then", max(b.expires[lease.ID].Sub(at), 0).Round(time.Second))
		default:
			holder.User, holder.Since = lease.User, lease.Granted
			holder.Free = fmt.Sprintf("when %s's program gives it back or ends; it has had it for %v", lease.User, at.Sub(lease.Granted).Round(time.Second))
		}
		holders = append(holders, holder)
	}
	return holders
}

// parts says what a lease has where. mu is held.
func (b *book) parts(lease api.Lease, at time.Time) []api.Part {
	known := map[string]api.NodeStatus{}
	for _, node := range b.listNodes("", at) {
		known[node.Name] = node
	}
	byNode := map[string]*api.Part{}
	for i, e := range lease.Executors {
		if e.Node == "" { // nobody has reported it yet
			continue
		}
		part := byNode[e.Node]
		if part == nil {
			node := known[e.Node]
			part = &api.Part{Node: e.Node, State: node.State, Address: node.Address, Seen: node.Seen}
			byNode[e.Node] = part
		}
		part.Executors = append(part.Executors, api.Placed{Index: i, Executor: e})
	}
	parts := []api.Part{}
	for _, name := range slices.Sorted(maps.Keys(byNode)) {
		parts = append(parts, *byNode[name])
	}
	return parts
}
