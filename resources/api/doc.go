// Package api is what the parts of the control plane tell each other: records of nodes and leases,
// the requests of the resource manager's HTTP interface with a [Client] for them, the run directory
// by which it is found, and the tickets that carry a grant to the executor managers. It imports
// none of our packages, so that everything may import it.
//
//	GET    /v1/status                  Status
//	POST   /v1/nodes                   Register   → Registered     a manager, at its start and after a silence
//	POST   /v1/nodes/{name}/heartbeat  Heartbeat  → HeartbeatReply
//	DELETE /v1/nodes/{name}?instance=  deregister
//	GET    /v1/nodes?boot=             []NodeStatus
//	GET    /v1/nodes/{name}            NodeStatus
//	POST   /v1/nodes/{name}/drain      DrainRequest
//	POST   /v1/nodes/{name}/resume
//	POST   /v1/nodes/{name}/remove     RemoveRequest
//	POST   /v1/leases                  GrantRequest → Grant         waits if asked to
//	POST   /v1/leases/batch            GrantAllRequest → GrantAll   for all ranks of a program; so does this
//	POST   /v1/leases/{id}/renew       Renewed
//	POST   /v1/leases/{id}/end
//	DELETE /v1/leases/{id}
//	GET    /v1/leases                  []Lease
//	GET    /v1/leases/{id}             Lease
//	GET    /v1/leases/{id}/explain     Explanation
//	GET    /v1/bill?account=&since=    Bill
//	GET    /v1/openapi.json            all of this in OpenAPI 3, with the comments of this package
//
// Every request but the last carries a token of the run directory: Authorization: Bearer. Its [Role] says what it may
// ask for; the description says of each operation which it takes. All of it goes over TLS to the server with the
// pinned key ([Pin]).
//
// # Trust
//
//	access.json ── Pin, Tokens ──▶ Client ── Owner's public key ──▶ grant ── Ticket (Owner, signed with the manager's Key), Pin of the node
//	                                  │                                           │
//	                                  └── TLS, Ticket, proof by the Owner ──▶ executor manager
//
// A [Token] is what stands in the place of all this where there is no resource manager; it is proved together with the
// [Binding] of the TLS connection, and never sent. An [Identity] is a server's key; nobody keeps one but the resource
// manager.
//
// Records are plain values. Who keeps one past a call clones it; the ledger does.
//
// # Errors
//
// What the resource manager refuses is an [*Error], with a code that [errors.Is] finds by
// [ErrNoCapacity] and its like. One that can not be reached is an [*Unreachable].
package api
