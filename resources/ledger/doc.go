// Package ledger is the book of nodes, cores, memory and leases: a pure state machine. [Apply] changes a
// [State] by one [Command]; the same commands in the same order give the same state, wherever and
// whenever. It knows no clock, no randomness and no I/O: times and names come in with commands.
//
//	st := ledger.New()
//	_, err := ledger.Apply(st, ledger.RegisterNode{Node: node})
//	result, err := ledger.Apply(st, ledger.Grant{Lease: "l-1", Node: node.Name, Executors: 2, At: now})
//
// A core of a node:
//
//	       Grant, Adopt
//	free ───────────▶ lent      a lent core has one executor that has it to itself; an executor can have several
//	 ▲ │ ◀─────────── │         (Release, Lose, RemoveNode)
//	 │ │              │
//	 │ │ Occupy       │ Occupy: the executor stays, the core is not free afterwards
//	 │ ▼              ▼
//	occupied ◀─────── lent and occupied
//	     Vacate: the way back
//
// The cores of one executor are on one node, on one of its NUMA nodes if one has as many free, and as close to each other by
// their numbers as free ones are. Executors
// of an oversubscribed lease that found no free core share one; those of several cores share none. They are counted at the
// core, which is not free as long as one of them is there.
//
// Memory is lent with cores: an executor that has cores to itself has its memory to itself as well, and
// what leases have and what is free is together what the node has registered. Executors that share a
// core have a bound, but nothing is set aside for them.
//
// A lease, which may be on several nodes:
//
//	     Grant                     Release, Expire
//	───────────────▶ granted ──────────────────────▶ ended
//	 Adopt            │   ▲                            ▲
//	                  │   └─ Adopt: executors return   │ of the last executors
//	                  └───── Lose, ReleasePart, RemoveNode: executors are lost
//
// GrantAll is Grant for several leases that are alike, all or none, with executors near those that want them.
//
// Meanwhile each of its executors can be replaced any number of times on its cores, until it is
// lost, which gives them back. Expire ends leases by their names: when a lease was last renewed is
// known to whoever keeps the book, and not worth a command. Names of what has ended are kept as long as a
// command says, until Forget.
//
// There are two ledgers of a lease that a resource manager grants: its own, over all nodes, and
// that of each executor manager, over its node. Either adopts what the other has placed.
//
// # The bill
//
// Managers say what each lease has used of their node since its beginning. Book adds to an account what is more than
// was known; a report that comes twice or late adds nothing. What is final is a line, which is kept until
// Written says that it is in a file. Accounts have what lines say, and what is in no line yet:
//
//	reported ── Book ──▶ part, account ── its end, Settle ──▶ line ── Written ──▶ in the file alone
//
// # Ownership
//
// The State belongs to the caller, who serializes its use. Results are copies.
//
// # Errors
//
// A command that fails has changed nothing. [ErrUnknown] and [ErrExists] say that a name is
// wrong, [ErrInvalid] that the command makes no sense, [ErrInUse] that a node has leases, [ErrDraining] and [ErrUser] that the node
// takes no such lease, and [*NoCapacity] that cores are missing, which, and who has them.
package ledger
