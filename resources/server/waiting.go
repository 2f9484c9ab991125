package server

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"slices"
	"time"

	"github.com/sublet-hpc/sublet/resources/api"
	"github.com/sublet-hpc/sublet/resources/ledger"
)

// waiter is a grant that waits for cores.
type waiter struct {
	command ledger.Grant   // of all leases, named by the first
	shares  []ledger.Share // of each, where several are asked for together
	since   time.Time
	until   time.Time
	limit   time.Duration // of the lease's time; 0: none
	done    chan struct{} // closed when lease and err do not change any more
	lease   api.Lease     // the first
	leases  []api.Lease   // all
	err     error         // why not yet
}

// ask grants a lease at once, or returns who waits for it.
func (b *book) ask(request api.GrantRequest, at time.Time) (*waiter, error) {
	w, err := b.newWaiter(request, at)
	if err != nil {
		return nil, err
	}
	return w, b.admit(w, at)
}

// newWaiter checks a request.
func (b *book) newWaiter(request api.GrantRequest, at time.Time) (*waiter, error) {
	if request.UID != b.uid {
		return nil, api.Because(api.ErrUnauthorized, "user %s (%d) asks for a lease; this resource manager serves user %d alone", request.User, request.UID, b.uid)
	}
	if request.Executors > maxExecutors {
		return nil, api.Because(api.ErrInvalid, "a lease of %d executors; it can be at most %d", request.Executors, maxExecutors)
	}
	if request.CoresPerExecutor < 0 || request.CoresPerExecutor > api.MaxCoresPerExecutor {
		return nil, api.Because(api.ErrInvalid, "executors of %d cores each; 1 to %d", request.CoresPerExecutor, api.MaxCoresPerExecutor)
	}
	if request.CoresPerExecutor == 1 {
		request.CoresPerExecutor = 0 // as in all logs
	}
	if request.Wait < 0 || request.Wait > maxWait {
		return nil, api.Because(api.ErrInvalid, "a lease can be waited for from 0 to %v, not %v", maxWait, request.Wait)
	}
	if request.TimeLimit < 0 {
		return nil, api.Because(api.ErrInvalid, "a time limit of %v; it is above 0, or 0 for none", request.TimeLimit)
	}
	if request.Account == "" {
		request.Account = api.DefaultAccount
	}
	if err := api.CheckAccount(request.Account); err != nil {
		return nil, err
	}
	w := &waiter{since: at, until: at.Add(request.Wait), limit: request.TimeLimit, done: make(chan struct{}), command: ledger.Grant{
		Lease: newName(), UID: request.UID, User: request.User, Account: request.Account,
		Executors: request.Executors, CoresPerExecutor: request.CoresPerExecutor, Memory: request.Memory,
		Oversubscribe: request.Oversubscribe, Placement: request.Placement,
	}}
	return w, nil
}

// newName is a lease's.
func newName() string {
	id := make([]byte, 6)
	_, _ = rand.Read(id) // never fails
	return hex.EncodeToString(id)
}

// admit serves a request, or has it wait.
func (b *book) admit(w *waiter, at time.Time) error {
	b.lock(at)
	defer b.mu.Unlock()
	if err := b.checkAccount(w.command.Account); err != nil {
		return err
	}
	b.waiting = append(b.waiting, w) // those who came before are served before
	b.serveWaiting(at)
	if last := len(b.waiting) - 1; !w.until.After(at) && last >= 0 && b.waiting[last] == w {
		b.waiting = b.waiting[:last]
		close(w.done)
	}
	return nil
}

// mayWait tells whether time can heal a refusal.
func mayWait(err error) bool {
	var missing *ledger.NoCapacity
	return errors.As(err, &missing) || errors.Is(err, ledger.ErrDraining) || quotaHeals(err)
}

// try grants a lease, or notes why not; first is who has waited longest for leases to end, or nil: what
// that one waits for is left.
func (b *book) try(w, first *waiter, at time.Time) {
	if w.err = b.checkQuota(w.command.Account, w.command.Cores()); w.err != nil {
		return
	}
	w.command.At, w.command.Expires = at, at.Add(TTL)
	if w.limit > 0 { // from now on, not while it waits
		w.command.Until = at.Add(w.limit)
		w.command.Expires = at.Add(min(TTL, w.limit))
	}
	w.command.Keep, w.command.KeepMemory, w.command.KeepNodes = 0, 0, 0
	switch {
	case first == nil:
	case first.command.CoresPerExecutor > 1:
		// A core that somebody else takes may be the one that a node lacks, however many others are free.
		w.command.KeepNodes = first.command.CoresPerExecutor
	default:
		w.command.Keep = first.command.Cores()
		w.command.KeepMemory = int64(first.command.Executors) * first.command.Memory
	}
	if w.shares != nil { // to write down what many members want takes time, and most who wait ask often in vain
		if w.err = w.command.Fits(b.state); w.err != nil {
			return
		}
	}
	result, err := b.apply(w.granting())
	if w.err = err; err == nil {
		w.lease, w.leases = result.Leases[0], result.Leases
		for _, lease := range w.leases {
			b.expires[lease.ID] = lease.Expires
		}
		b.counts.waited.Observe(at.Sub(w.since).Seconds())
	}
}

// serveWaiting grants what can be granted, first come, first served. The first who has to wait for
// leases to end has all cores and memory that come free meanwhile, and if it wants executors of several cores all
// of the nodes that could have one; nobody knows when leases end, so whoever passed could delay that one for ever. One who asks for more than leases can give back waits for
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
	b.lock(at)
	defer b.mu.Unlock()
	if i := slices.Index(b.waiting, w); i >= 0 {
		b.waiting = slices.Delete(b.waiting, i, i+1)
		close(w.done)
		b.serveWaiting(at) // it may have held others up
	}
}
