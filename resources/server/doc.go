// Package server is the resource manager: it knows every executor manager, grants leases on their
// cores, and writes off those that are silent. It is the ledger (package resources/ledger), kept on disk
// (package resources/replica), behind HTTP (package resources/api), and a clock.
//
//	run directory ── access.json ──▶ managers: register, heartbeat      clients: grant, renew, release
//	                                        │                                   │
//	                                        ▼                                   ▼
//	                                 ┌──────────────── resource manager ──────────────┐
//	                                 │  TLS ── token, role ─────▶ book ──▶ replica    │
//	                                 │    ▲                        └─ who waits  │    │
//	                                 │    └─ the answer, once it is durable ─────┘    │
//	                                 └────────────────────────────────────────────────┘
//
// [Open] takes a run directory and a listener, [Server.Run] serves until its context ends.
//
// # A node
//
//	         register                      silent for Silence
//	unknown ──────────▶ registered ────────────────────────────▶ written off (unknown)
//	                     │      ▲                                   │
//	                     │      └──────── register, with what it holds
//	                     ├─ deregister ──▶ unknown
//	                     └─ remove ──▶ unknown; its manager is told to end with its next report
//
// The answer to each report says how often the next are to come: managers report each Interval as long as they are
// few, and less often when they are many. Silence, and how long leases last, grow with that.
//
// Drain and resume belong to a node's name, whether it is registered or not: a node that drains takes no
// new leases. Its manager learns of it from the answers to its reports.
//
// # A lease
//
//	         granted, tickets signed           a manager reports it        released, or ended on all nodes
//	waiting ─────────────────────────▶ on its way ──────────────────▶ held ────────────────────────▶ ended
//	   │ deadline                        │ TTL without renewal          │ its nodes are written off   ▲
//	   ▼                                 └──────────────────────────────┴─────────────────────────────┘
//	refused, with who has what
//
// A grant is on its way until the client has shown its tickets and a manager says so; if the client
// hangs up before, it has died. A lease is renewed by its client, and by the managers that hold
// it; what nobody renews ends by itself.
//
// Those who wait are served in the order of coming. The first has all cores that come free, however few
// the others ask for, unless it asks for more than there would be if all leases ended.
//
// # Trust
//
// A key and a token for each role lie beside the ledger (keys.json). All requests come over TLS, but for rFaaS's interface.
// A route says which role it needs; who shows no token is counted by address, and told less the more often it tries. A
// grant's tickets name the client's key, and are of use to nobody else.
//
// The interface is a table of routes; openapi.json, which is served, is made of it in a test.
//
// # Nodes that are added
//
// What people and batch systems say of nodes (an executors database, /add, /remove) is in the roster, kept in
// the run directory. It is no part of the ledger: it bounds what a manager registers, and enters cores
// that may not be leased as used by nobody. rFaaS's HTTP interface for that has a listener of its own, and
// serves nothing else.
//
// # The bill
//
// What managers report of their leases' use is entered in the ledger when a lease ends, when its node goes, when
// somebody asks, and else every 10 s. A goroutine appends the ledger's lines to bill.jsonl once they are durable, and has
// the ledger drop them then; by their numbers none is written twice. Quotas are checked before a lease is granted.
//
// # What lasts
//
// Nodes with their managers' keys, drains, leases, names of what has ended, and who is to end (leases and
// managers, because somebody asked for it) are in the ledger. The book decides
// under its lock, ahead of the disk; an answer, also to who only asks what there is, goes out when
// all that was decided before it is durable. Who was heard of when, renewals, and who waits are the running
// process's: after a start each manager has Silence, and each lease TTL, to be heard of. A heartbeat
// that brings no news writes nothing. Managers and running leases go on meanwhile, and what managers
// report is right about what runs, as ever.
package server
