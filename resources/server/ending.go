package server

import (
	"time"

	"github.com/sublet-hpc/sublet/resources/api"
	"github.com/sublet-hpc/sublet/resources/ledger"
)

// endLease has a lease ended that its program would keep. Its cores stay its own until the managers say
// that nothing of it is left: whoever had them before would find its executors there.
//
//	held ── endLease ──▶ ending ── managers are told with their next reports, and report its end ──▶ ended
//	           └── its nodes are written off ──▶ ended: managers that come back with it are told to end it
//	on its way ── endLease ──▶ ended: nothing runs yet, and managers that are shown its ticket are told to end it
func (b *book) endLease(id string, at time.Time) error {
	b.lock(at)
	defer b.mu.Unlock()
	if _, lasts := b.state.Leases[id]; !lasts {
		return b.unknownLease(id)
	}
	if b.leaseState(id) != api.LeaseOnTheWay {
		_, err := b.apply(ledger.EndLease{Lease: id, Until: at.Add(wishRemembered)})
		if err == nil {
			b.log.Info("a lease is to end, somebody has asked for that", "lease", id)
		}
		return err
	}
	_, err := b.apply(ledger.Release{Lease: id, At: at, Remember: at.Add(remembered)})
	b.serveWaiting(at)
	return err
}
