// Package replica keeps a ledger (package resources/ledger) on disk: its commands are the entries of a log,
// which hashicorp/raft writes with bbolt. One replica is a cluster of one voter; several would be the
// same code with a transport between them.
//
//	               Propose                 log: one flush for all that came meanwhile
//	who decides ──────────▶ front ──▶ raft ═══════════════════════════════════════▶ machine
//	    │                  (ahead)                                                  (durable)
//	    └── Mark.Wait ◀─────────────────────── committed ─────────────────────────────┘
//
// # Ahead of the disk
//
// There are two states. The front is decided on: [Replica.Propose] applies a command to it at once, and puts
// it into the log if it has changed something. The machine has what is durable: it applies entries as they
// are committed. The ledger is deterministic, so the machine comes to what the front was. Nobody holds a lock
// while the disk is busy: who has proposed takes a [Mark] and waits for it before it tells anybody, and so
// does who has only read, for the front may show what is not durable yet. What is refused or changes
// nothing is not written.
//
// Locks: order, of the front and of the order of entries, is held for a decision and until the log has taken
// the entry. The log takes some hundred without waiting; beyond that who proposes waits for a flush, and so
// does everybody behind. The lock of the waiters is held for moments, and the machine's
// for an entry or a copy of the state; raft's goroutines take these two and never order, so raft always moves on.
//
// # Revisions
//
// Each entry says which revision of the state it makes. The machine passes over one that does not follow on its
// own revision: it was decided on by a front that had lost its footing (a leader that did not know yet that it was
// none). A front begins at the machine's state when a mark, an entry without a command, that was put
// into the log after raft said "leader" is committed; when raft says otherwise, all that is on its way ends in
// [ErrUnavailable], which means that it may last or not.
//
// # A data directory
//
//	ledger.json   format, name of the voter, whether there has been a log
//	owner         which process has it, for people; the lock is bbolt's
//	raft.db       the log; entries have a version and a checksum
//	snapshots/    the state every some thousand entries, which bounds what a start replays
//
// It must be on a file system of this host: [Choose]. Where the run directory is not, a copy of the state is
// kept there, some seconds old at most and exact after a clean end. A data directory that is gone is
// taken up from the copy; one that another host has gone on with since is put aside.
//
// # Errors
//
// [Open] reads all that will be replayed before raft does. [ErrDamaged] and [ErrVersion] say what can not be
// used and what to do; nothing is deleted. A disk that fails while the replica runs ends it: [Replica.Failed].
//
// # Ownership
//
// [Replica.Propose] and [Replica.State] are for one goroutine at a time. The State may be read until the next
// Propose, and is replaced by another when the replica begins to lead again.
package replica
