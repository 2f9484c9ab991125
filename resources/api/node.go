package api

import (
	"maps"
	"slices"
	"time"
)

// Node is a machine, or the part of it that an allocation has, with an executor manager.
type Node struct {
	Name string `json:"name"`
	// UID and User are whom the executor manager runs as, and whom alone it serves.
	UID     int    `json:"uid"`
	User    string `json:"user"`
	Account string `json:"account,omitempty"`
	// Job is the number of Slurm's job that it is part of; 0: none.
	Job uint32 `json:"job,omitempty"`
	// Cores are the numbers of the cores that can be lent while nobody else uses them.
	Cores []int `json:"cores"`
	// NUMA says on which NUMA node each core is, by the core's number; without it they are all on one.
	NUMA map[int]int `json:"numa,omitempty"`
	// Memory that leases can have, in bytes; 0: nobody has said, and it is not counted.
	Memory int64 `json:"memory"`
	Reach
}

// Reach is how a node's executor manager is found.
type Reach struct {
	// Address is where it listens for clients on other hosts: host:port.
	Address string `json:"address,omitempty"`
	// Pin is that of the key with which it answers there, over TLS.
	Pin Pin `json:"pin,omitempty"`
	// Boot, Socket and PID are for clients on the same host: the boot of the kernel, the name of an
	// abstract Unix socket, and the process that has it. A client for which all three are true is
	// on the same host, and in the same namespaces.
	Boot   string `json:"boot,omitempty"`
	Socket string `json:"socket,omitempty"`
	PID    int    `json:"pid,omitempty"`
}

// Resources counts what the node has.
func (n Node) Resources() Resources {
	return Resources{Cores: int64(len(n.Cores)), Memory: n.Memory}
}

// Clone copies the record.
func (n Node) Clone() Node {
	n.Cores, n.NUMA = slices.Clone(n.Cores), maps.Clone(n.NUMA)
	return n
}

// Drain says that a node takes no new leases; those that it has go on.
type Drain struct {
	Reason string    `json:"reason,omitempty"`
	Since  time.Time `json:"since"`
	// Final: its executor manager is about to end, and nobody can resume the node.
	Final bool `json:"final,omitempty"`
}

// NodeStatus is a node and what it is used for.
type NodeStatus struct {
	Node
	State NodeState `json:"state"`
	// Drain says since when and why the node takes no new leases; nil: it does.
	Drain *Drain `json:"drain,omitempty"`
	// Outlook is for how long it will be lent.
	Outlook Outlook `json:"outlook,omitzero"`
	// Free is what can be lent now.
	Free Resources `json:"free"`
	// Leases that have executors on the node.
	Leases []string `json:"leases"`
	// Occupants are those that use cores without a lease, by the core's number.
	Occupants map[int]string `json:"occupants,omitempty"`
	// Seen is when its manager was last heard of.
	Seen time.Time `json:"seen"`
	// Interval is how often its manager is to be heard of; after three without a word it is written off.
	Interval time.Duration `json:"interval"`
}
