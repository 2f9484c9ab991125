package replica

import (
	"context"

	"github.com/sublet-hpc/sublet/resources/ledger"
)

// State is the ledger with all that was proposed. It is for reading, until the next Propose.
func (r *Replica) State() *ledger.State {
	r.order.Lock()
	defer r.order.Unlock()
	return r.front
}

// Revision counts the commands that have changed the ledger, also those that are not durable yet.
func (r *Replica) Revision() uint64 {
	r.order.Lock()
	defer r.order.Unlock()
	return r.revision
}

// Propose applies a command to the ledger and puts it into the log. It does not wait for the disk: nobody may
// be told of the result before a Mark of afterwards has been waited for. What is refused, or changes
// nothing, is not written. Errors are the ledger's, or ErrUnavailable. If so many commands are on
// their way that the log takes no more, it waits for a flush.
func (r *Replica) Propose(command ledger.Command) (ledger.Result, error) {
	r.order.Lock()
	defer r.order.Unlock()
	if !r.leading {
		return ledger.Result{}, r.unavailable()
	}
	// Before anything is changed: what can not be written must not be applied.
	text, err := entry{revision: r.revision + 1, command: command}.encode()
	if err != nil {
		return ledger.Result{}, err
	}
	result, err := ledger.Apply(r.front, command)
	if err != nil || result.Unchanged {
		return result, err
	}
	r.revision++
	r.waiters.proposed(r.revision)
	r.raft.Apply(text, 0) // the machine tells when it is durable, and follow if it may not be
	return result, nil
}

// Apply proposes a command and waits until it is durable.
func (r *Replica) Apply(ctx context.Context, command ledger.Command) (ledger.Result, error) {
	result, err := r.Propose(command)
	if waitErr := r.Mark().Wait(ctx); waitErr != nil {
		return ledger.Result{}, waitErr
	}
	return result, err
}
