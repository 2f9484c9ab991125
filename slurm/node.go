package slurm

import "slices"

// NodeState is the base state of a node; what else is the matter with it is in its flags.
type NodeState string

// The base states.
const (
	NodeIdle      NodeState = "IDLE"
	NodeMixed     NodeState = "MIXED"
	NodeAllocated NodeState = "ALLOCATED"
	NodeDown      NodeState = "DOWN"
	NodeError     NodeState = "ERROR"
	NodeFuture    NodeState = "FUTURE"
	NodeUnknown   NodeState = "UNKNOWN"
)

// Node is what sinfo says of a node. What Slurm does not say is the zero value.
type Node struct {
	Name    string
	Address string // a name or a number; "" where sinfo does not say it
	State   NodeState
	// Flags are in upper case: DRAIN, NOT_RESPONDING, POWERED_DOWN, PLANNED, CLOUD, RESERVED, MAINTENANCE,
	// COMPLETING and so on.
	Flags                   []string
	Partitions              []string
	CPUs, AllocatedCPUs     int
	Memory, AllocatedMemory int64 // bytes
	Features                []string
	Reason                  string // why it is down or drained, as an administrator wrote it
	Reservation             string
}

// Is says whether the node has one of these flags.
func (n *Node) Is(flags ...string) bool {
	return slices.ContainsFunc(n.Flags, func(flag string) bool { return slices.Contains(flags, flag) })
}
