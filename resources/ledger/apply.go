package ledger

import "github.com/sublet-hpc/sublet/resources/api"

// Command is one of this package's: RegisterNode, DrainNode, ResumeNode, RemoveNode, ForgetNode, BoundNode, Occupy, Vacate,
// Occupants, Foresee, Grant, GrantAll, Adopt, Expire, Replace, Lose, ReleasePart, Release, EndLease, Remember, Forget, Book, Settle,
// Written, ForgetParts.
type Command interface {
	// apply checks everything before it changes anything.
	apply(*State) (Result, error)
}

// Result is what came of a command.
type Result struct {
	// Leases that the command began, changed or ended, as they are afterwards.
	Leases []api.Lease
	// Unchanged: the command was in order, and the state is as it was. Who keeps a log of commands can
	// leave it out.
	Unchanged bool
}

// Apply changes the state by a command. If it fails the state is as it was.
func Apply(state *State, command Command) (Result, error) { return command.apply(state) }

func one(lease *api.Lease) Result { return Result{Leases: []api.Lease{lease.Clone()}} }
