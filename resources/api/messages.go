package api

import "time"

// Register makes a node known, or known again.
type Register struct {
	Node Node `json:"node"`
	// Instance is the process of the manager: another one of the same name is another.
	Instance string `json:"instance"`
	// Key signs the tickets for this manager. It is the manager's own, so that it can verify a
	// ticket that arrives before the reply to its registration.
	Key []byte `json:"key"`
	State
}

// State is what a manager has. It is whole each time, so that nothing depends on an earlier report.
type State struct {
	// Held are the leases of which something runs on the node.
	Held []Held `json:"held"`
	// Ended are those that have ended since the last report that was answered.
	Ended []string `json:"ended,omitempty"`
	// Occupants are those that use cores without a lease, by the core's number.
	Occupants map[int]string `json:"occupants,omitempty"`
	// Outlook is for how long the node will be lent.
	Outlook Outlook `json:"outlook,omitzero"`
	// Used is what leases have used: those that last, and those that have ended since the last report that
	// was answered.
	Used []Used `json:"used,omitempty"`
}

// Held is the part of a lease that a manager has.
type Held struct {
	Lease   string    `json:"lease"`
	UID     int       `json:"uid"`
	User    string    `json:"user"`
	Account string    `json:"account,omitempty"`
	Granted time.Time `json:"granted"`
	// Until is when the lease's time limit is over; zero: it has none.
	Until     time.Time `json:"until,omitzero"`
	Executors []Placed  `json:"executors"`
}

// Registered answers Register.
type Registered struct {
	HeartbeatReply
}

// Heartbeat says that a manager is there, and what it has.
type Heartbeat struct {
	Instance string `json:"instance"`
	// Beat counts up; one that comes late is of no use.
	Beat uint64 `json:"beat"`
	State
}

// HeartbeatReply answers Heartbeat.
type HeartbeatReply struct {
	// Interval is how often the resource manager wants to hear of the node from now on. It grows with the number
	// of nodes.
	Interval time.Duration `json:"interval"`
	// End are leases that the manager has and must end: they have been released, or their time is over.
	End []string `json:"end,omitempty"`
	// Drain says since when and why the node gets no new leases; nil: it does.
	Drain *Drain `json:"drain,omitempty"`
}

// DrainRequest has a node drained.
type DrainRequest struct {
	// Reason is for people, one line of at most 500 bytes; may be empty.
	Reason string `json:"reason,omitempty"`
}

// RemoveRequest has a node removed.
type RemoveRequest struct {
	// Force takes it also from leases that have executors there.
	Force bool `json:"force,omitempty"`
}

// GrantRequest asks for a lease.
type GrantRequest struct {
	Executors int `json:"executors"`
	// CoresPerExecutor is how many cores of one node each has, at most MaxCoresPerExecutor; 0: one.
	CoresPerExecutor int `json:"cores_per_executor,omitempty"`
	// Oversubscribe lets executors of one core share it; with several it is refused.
	Oversubscribe bool `json:"oversubscribe,omitempty"`
	// Memory of each executor in bytes, at least MinMemory; 0: its cores' share of its node's.
	Memory int64  `json:"memory,omitempty"`
	UID    int    `json:"uid"`
	User   string `json:"user"`
	// Account is who pays; empty: DefaultAccount.
	Account string `json:"account,omitempty"`
	// Placement says how executors are divided between nodes; empty: pack.
	Placement Placement `json:"placement,omitempty"`
	// TimeLimit is after which time the lease ends, however often it is renewed; 0: never.
	TimeLimit time.Duration `json:"time_limit,omitempty"`
	// Wait is how long to wait for cores that are lent to others; 0: not at all.
	Wait time.Duration `json:"wait,omitempty"`
	// Owner is the public half of the key by which the client shows managers that tickets are its own.
	// Client.Grant sets it.
	Owner []byte `json:"owner"`
}

// Grant is a lease with a ticket for each of its nodes.
type Grant struct {
	Lease   Lease    `json:"lease"`
	Tickets []Access `json:"tickets"`
	// TTL is how long the lease lasts without being renewed. Executor managers renew it while
	// they hold it.
	TTL time.Duration `json:"ttl"`
}

// GrantAllRequest asks for leases that are alike, one for each rank of a program, say: all of them, or none.
type GrantAllRequest struct {
	// Each is what each of them is like. How many executors it has, and whose it is, its member says instead.
	Each GrantRequest `json:"each"`
	// Members get a lease each.
	Members []Member `json:"members"`
}

// Member is one of those for whom leases are asked together.
type Member struct {
	// Executors is how many it gets, at least 1.
	Executors int `json:"executors"`
	// Node is where it runs; as many of its executors are there as there is room for, the others as the placement says.
	Node string `json:"node,omitempty"`
	// Owner is the public half of the key by which it shows managers that tickets are its own (Client.Owner).
	Owner []byte `json:"owner"`
}

// GrantAll are the leases, in the order of the members.
type GrantAll struct {
	Grants []Grant `json:"grants"`
}

// Access is what a client needs to have a lease's executors of one node.
type Access struct {
	Node string `json:"node"`
	Reach
	Executors []Placed `json:"executors"`
	Ticket    string   `json:"ticket"`
}

// Renewed says until when a lease lasts.
type Renewed struct {
	Expires time.Time `json:"expires"`
}
