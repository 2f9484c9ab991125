package api

import "time"

// LeaseState says how far a lease has come.
type LeaseState string

// States of a lease.
const (
	// LeaseWaiting: it has been asked for, and is not granted yet.
	LeaseWaiting LeaseState = "waiting"
	// LeaseOnTheWay: it is granted, and no executor manager has reported it yet.
	LeaseOnTheWay LeaseState = "on-the-way"
	// LeaseHeld: executor managers hold it.
	LeaseHeld LeaseState = "held"
	// LeaseEnding: executor managers are told to end it, because somebody has asked for that.
	LeaseEnding LeaseState = "ending"
)

// Explanation says what has become of a request for a lease.
type Explanation struct {
	ID    string     `json:"id"`
	State LeaseState `json:"state"`
	// Waiting is set while it waits.
	Waiting *Waiting `json:"waiting,omitempty"`
	// Lease is set once it is granted, and Parts says where it is.
	Lease *Lease `json:"lease,omitempty"`
	Parts []Part `json:"parts,omitempty"`
}

// Part is what a lease has on one node.
type Part struct {
	Node string `json:"node"`
	// State of the node; empty if it has been written off or has ended.
	State   NodeState `json:"state,omitempty"`
	Address string    `json:"address,omitempty"`
	// Seen is when the node's manager was last heard of.
	Seen      time.Time `json:"seen,omitzero"`
	Executors []Placed  `json:"executors"`
}

// Waiting is a request for a lease that is not granted yet.
type Waiting struct {
	// ID is that of the request, and of the lease once it is granted.
	ID        string `json:"id"`
	UID       int    `json:"uid"`
	User      string `json:"user"`
	Account   string `json:"account,omitempty"`
	Executors int    `json:"executors"`
	// CoresPerExecutor is how many cores each is to have; 0: one.
	CoresPerExecutor int `json:"cores_per_executor,omitempty"`
	// Memory of each executor in bytes; 0: its cores' share of its node's.
	Memory int64 `json:"memory,omitempty"`
	// Placement that was asked for; empty: pack.
	Placement Placement `json:"placement,omitempty"`
	// TimeLimit is how long it lasts once it is granted; 0: until its program gives it back or ends.
	TimeLimit time.Duration `json:"time_limit,omitempty"`
	// Since and Until are when it was asked for, and when its program gives up.
	Since time.Time `json:"since"`
	Until time.Time `json:"until"`
	// Position among those who wait, from 1.
	Position int `json:"position"`
	// Reason says what is missing and who has it, in one sentence.
	Reason string `json:"reason"`
	// Asked, Free and Has are what it takes, what is free on the nodes that could serve it, and what those have.
	Asked Resources `json:"asked"`
	Free  Resources `json:"free,omitempty"`
	Has   Resources `json:"has,omitempty"`
	// Room is how many of its executors could have cores to themselves now.
	Room int64 `json:"room"`
	// CanBeMet: the end of leases will do. If not, only another node or the end of other programs can help.
	CanBeMet bool `json:"can_be_met"`
	// Behind is the request that has waited longer, and for which cores are kept; empty if there is none.
	Behind string `json:"behind,omitempty"`
	// Draining are the nodes that could serve it if they did not drain.
	Draining []string `json:"draining,omitempty"`
	// Holders have what is missing.
	Holders []Holder `json:"holders,omitempty"`
}

// Holder has cores of a node that somebody waits for.
type Holder struct {
	Node  string `json:"node"`
	Cores []int  `json:"cores"`
	// By completes the sentence "core 3 is".
	By string `json:"by"`
	// Lease that has them, with its user and since when; empty if they are used without one.
	Lease string    `json:"lease,omitempty"`
	User  string    `json:"user,omitempty"`
	Since time.Time `json:"since,omitzero"`
	// FreeBy is when they come free at the latest; zero: nobody knows.
	FreeBy time.Time `json:"free_by,omitzero"`
	// Free completes the sentence "they come free".
	Free string `json:"free"`
}
