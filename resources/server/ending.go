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
//	on its way ── endLease ──▶ ended: nothing runs yet, and managers that are shown its ticket are told to end it
func (b *book) endLease(id string, at time.Time) error {
	b.lock(at)
	defer b.mu.Unlock()
	if _, lasts := b.state.Leases[id]; !lasts {
		return b.unknownLease(id)
	}
	if b.leaseState(id) != api.LeaseOnTheWay {
		b.ending[id] = true
		b.log.Info("a lease is to end, somebody has asked for that", "lease", id)
		return nil
	}
	_, err := b.apply(ledger.Release{Lease: id, At: at, Remember: at.Add(remembered)})
	b.serveWaiting(at)
	return err
}
