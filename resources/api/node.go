package api

import "slices"

// Node is a machine, or the part of it that an allocation has, with an executor manager.
type Node struct {
	Name string `json:"name"`
	// UID and User are whom the executor manager runs as, and whom alone it serves.
	UID     int    `json:"uid"`
	User    string `json:"user"`
	Account string `json:"account,omitempty"`
	// Cores are the numbers of the cores that can be lent while nobody else uses them.
	Cores []int `json:"cores"`
}

// Resources counts what the node has.
func (n Node) Resources() Resources { return Resources{Cores: int64(len(n.Cores))} }

// Clone copies the record.
func (n Node) Clone() Node {
	n.Cores = slices.Clone(n.Cores)
	return n
}
