// Package manager is the executor manager: it lends the cores of one node. It admits leases, starts
// their executors (package executors/executor) as processes of their own, pins, watches, replaces
// and reaps them, and passes on what client and executor say to each other before the data path
// runs (package internal/control). It stands on no data path itself.
//
//	                 ┌───────────────── executor manager ─────────────────┐
//	rank ── control ─┤ client ── lease ──┬ executor ── instance ─ process ├─ control ── executor
//	rank ── control ─┤ client            └ executor ── ...                ├─ control ── executor
//	                 │   └────── ledger, claims, ranks ──── starter       │
//	                 └────────────────────────────────────────────────────┘
//
// [Manager.Serve] serves one client until one of them ends; [RunEmbedded] is the loop of
// `sublet embedded`, the helper that the ranks of a job share on a node. [RunDaemon] is that of
// `sublet executor-manager`: a resource manager grants the leases, clients bring its tickets, also
// from other hosts, over TCP and without descriptors, and the manager reports what it holds. [RunDirect] is
// that command's without a resource manager: clients with an executors database lease from it directly, from
// other hosts with the proof that they know its token.
//
// # A client's connection
//
//	connected ── hello ──▶ welcomed ── lease ──▶ granting ── granted ──▶ leased
//	                          ▲                     │ failed               │ release
//	                          └─────────────────────┴──────────────────────┘
//
// The end of the connection, or of the client's process, ends the lease wherever it is. The
// process is watched by pidfd, because its forked children may keep the socket open. A lease with a time limit ends
// when that is over: the client is told so, and its connection ends.
//
// # An executor of a lease
//
//	starting ── started ──▶ running ── its process exits ──▶ replaced ── started ──▶ running
//	   │ failed                │                               │ twice in vain
//	   ▼                       ▼ the lease ends                ▼
//	lease fails              killed                           lost: the lease shrinks
//
// Executors hold no state that would have to be put in order, so they are ended with SIGKILL. What
// the manager starts dies with it.
//
// # The pool
//
// Spares are executors that have started before there is a lease for them, so that granting one needs no
// process to start. A lease tells a spare what it would have inherited; only what is read when a process
// starts, such as LD_LIBRARY_PATH, can not be told, and such a lease has new processes. A spare belongs to
// nobody, holds no core and no memory of the book, and serves one lease.
//
// While the node drains there are no spares.
//
// # Metrics
//
// A daemon's metrics are what its ledger, pool and executors' stats pages say at the moment of asking, and a
// tally of what has passed.
//
// # What leases use
//
// A meter counts for each lease of a resource manager: memory times the monotonic clock's time, and CPU time from the
// kernel, of processes that live and of those that were reaped. Only the part of it that was spinning is the executors'
// word. Reports have the sums since the lease began, so that one that is lost or comes twice does no harm; those of a
// lease that has ended are kept until the resource manager has answered.
//
// # Cores
//
// Lendable are the whole physical cores of the job's cpuset (never of the inherited affinity), but
// those that ranks compute on, and those that another manager of the same user has claimed on this
// machine. An executor that has several runs on all of them, with all of its threads. The ledger (package resources/ledger) keeps the book.
//
// # Memory that is lent
//
// Each executor has a bound in bytes, asked for by its lease or a share of the node's memory, which the
// ledger keeps the book of as well. The executor enforces it; it notes in its stats page that it died of
// it, and the manager tells the client. The kernel ends executors before anything else.
//
// # Memory and descriptors
//
// A client's descriptors pass through and are closed here. The manager makes each executor's stats
// page, maps it read-only, and unmaps it when the process has been reaped.
//
// # Trust
//
// Over a Unix socket the kernel says whose process a client is: the manager's own user's, or it is refused. Over the network
// there is TLS with a key of this process, whose pin clients are told by the resource manager. A ticket is admitted once, before it
// expires, for this node and user, from the client whose key it names; that signs a random number of this connection. Executors
// get nothing of this.
//
// # Errors
//
// What a client asks for in vain is answered with a control.Failed that says why and leaves
// nothing behind. A client that breaks the protocol loses its connection, which is logged; nobody
// else notices.
package manager
