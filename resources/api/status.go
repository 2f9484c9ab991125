package api

import "time"

// NodeState says what a node is good for.
type NodeState string

// States of a node.
const (
	// NodeLending: new leases can have its free cores.
	NodeLending NodeState = "lending"
	// NodeDraining: it takes no new leases, and still has some.
	NodeDraining NodeState = "draining"
	// NodeDrained: it takes no new leases and has none.
	NodeDrained NodeState = "drained"
	// NodeSilent: its manager should have been heard of, and will soon be written off.
	NodeSilent NodeState = "silent"
	// NodeGone: it drains, and has no manager at present.
	NodeGone NodeState = "gone"
)

// NodeStates are all of them, those that lend first.
var NodeStates = []NodeState{NodeLending, NodeDraining, NodeDrained, NodeSilent, NodeGone}

// Status is a resource manager at a glance.
type Status struct {
	Version string `json:"version"`
	URL     string `json:"url"`
	Host    string `json:"host"`
	PID     int    `json:"pid"`
	// Directory is its run directory, as seen from its host.
	Directory string    `json:"directory"`
	Started   time.Time `json:"started"`
	// Now is the time there.
	Now time.Time `json:"now"`
	// Nodes counts nodes by their states.
	Nodes  map[NodeState]int `json:"nodes"`
	Cores  CoreCount         `json:"cores"`
	Memory MemoryCount       `json:"memory"`
	Leases int               `json:"leases"`
	// Executors of leases, without those that are lost.
	Executors int `json:"executors"`
	// Attention are the nodes that do not simply lend, by name.
	Attention []NodeStatus `json:"attention"`
	// Waiting are the requests that wait, who came first first; without Holders.
	Waiting []Waiting `json:"waiting"`
}

// CoreCount counts the cores of registered nodes, each once.
type CoreCount struct {
	Total int `json:"total"`
	// Lent are those that an executor has to itself.
	Lent int `json:"lent"`
	// Free are those that a lease could have now.
	Free int `json:"free"`
	// Occupied are used without a lease, or shared by oversubscribed executors alone.
	Occupied int `json:"occupied"`
	// Draining would be free if their nodes did not drain.
	Draining int `json:"draining"`
}

// MemoryCount counts the memory of registered nodes, in bytes.
type MemoryCount struct {
	Total int64 `json:"total"`
	Lent  int64 `json:"lent"`
	Free  int64 `json:"free"`
}
