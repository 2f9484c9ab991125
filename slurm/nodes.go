package slurm

import (
	"errors"
	"slices"
	"strings"
)

// parseNodes reads what sinfo --json writes. Slurm 22.05 has a list "nodes", with a record for each node; later versions
// have a list "sinfo", with a record for each node and partition.
func parseNodes(data []byte) ([]Node, error) {
	var nodes []Node
	at := map[string]int{}
	add := func(n Node) {
		i, known := at[n.Name]
		if !known {
			at[n.Name] = len(nodes)
			nodes = append(nodes, n)
			return
		}
		for _, partition := range n.Partitions {
			if !slices.Contains(nodes[i].Partitions, partition) {
				nodes[i].Partitions = append(nodes[i].Partitions, partition)
			}
		}
	}
	err := document(data, map[string]func(*scanner) error{
		"nodes": func(s *scanner) error {
			node, err := s.node()
			if err == nil {
				add(node)
			}
			return err
		},
		"sinfo": func(s *scanner) error {
			row, err := s.row()
			for _, node := range row {
				add(node)
			}
			return err
		},
	})
	return nodes, err
}

// node reads a record of the list "nodes".
func (s *scanner) node() (Node, error) {
	var n Node
	var words, flags []string
	err := s.object(func(key []byte) (err error) {
		switch string(key) {
		case "name":
			n.Name, err = s.text()
		case "address":
			n.Address, err = s.text()
		case "state":
			words, err = s.texts()
		case "state_flags": // 22.05
			flags, err = s.texts()
		case "partitions":
			n.Partitions, err = s.texts()
		case "cpus":
			n.CPUs, err = s.count()
		case "alloc_cpus":
			n.AllocatedCPUs, err = s.count()
		case "real_memory":
			n.Memory, err = s.mebibytes()
		case "alloc_memory":
			n.AllocatedMemory, err = s.mebibytes()
		case "features":
			n.Features, err = s.texts()
		case "reason":
			n.Reason, err = s.text()
		case "reservation":
			n.Reservation, err = s.text()
		default:
			err = s.skip()
		}
		return err
	})
	if err == nil && n.Name == "" {
		err = errors.New("a node without a name")
	}
	n.State, n.Flags = nodeState(append(words, flags...))
	return n, err
}

// nodeState tells the base state from the flags.
func nodeState(words []string) (NodeState, []string) {
	state := NodeUnknown
	var flags []string
	for _, word := range words {
		switch word = strings.ToUpper(word); NodeState(word) {
		case NodeIdle, NodeMixed, NodeAllocated, NodeDown, NodeError, NodeFuture, NodeUnknown:
			state = NodeState(word)
		default:
			flags = append(flags, word)
		}
	}
	return state, flags
}

// row reads a record of the list "sinfo": of one node, or of several that are alike, which share what is allocated.
func (s *scanner) row() ([]Node, error) {
	n := Node{State: NodeUnknown}
	var names, addresses []string
	err := s.object(func(key []byte) (err error) {
		switch string(key) {
		case "node":
			err = s.each(fields{"state": func() error {
				words, err := s.texts()
				n.State, n.Flags = nodeState(words)
				return err
			}})
		case "nodes":
			err = s.each(fields{
				"nodes":     func() (err error) { names, err = s.hosts(); return err },
				"addresses": func() (err error) { addresses, err = s.texts(); return err },
			})
		case "cpus":
			err = s.each(fields{
				"allocated": func() (err error) { n.AllocatedCPUs, err = s.count(); return err },
				"minimum":   func() (err error) { n.CPUs, err = s.count(); return err },
			})
		case "memory":
			err = s.each(fields{
				"minimum":   func() (err error) { n.Memory, err = s.mebibytes(); return err },
				"allocated": func() (err error) { n.AllocatedMemory, err = s.mebibytes(); return err },
			})
		case "features":
			err = s.each(fields{"total": func() (err error) { n.Features, err = s.texts(); return err }})
		case "reason":
			err = s.each(fields{"description": func() (err error) { n.Reason, err = s.text(); return err }})
		case "partition":
			err = s.each(fields{"name": func() error {
				name, err := s.text()
				if name != "" {
					n.Partitions = []string{name}
				}
				return err
			}})
		case "reservation":
			n.Reservation, err = s.text()
		default:
			err = s.skip()
		}
		return err
	})
	if err != nil || len(names) == 0 { // a partition without nodes has a row too
		return nil, err
	}
	n.AllocatedCPUs = (n.AllocatedCPUs + len(names) - 1) / len(names)
	nodes := make([]Node, len(names))
	for i, name := range names {
		nodes[i] = n
		nodes[i].Name = name
		nodes[i].Partitions = slices.Clone(n.Partitions)
		if len(addresses) == len(names) {
			nodes[i].Address = addresses[i]
		}
	}
	return nodes, nil
}

// fields read the values of an object, by its keys.
type fields map[string]func() error

// each reads an object's fields and skips the others; null has none.
func (s *scanner) each(of fields) error {
	if s.peek() == 'n' {
		_, err := s.scalar()
		return err
	}
	return s.object(func(key []byte) error {
		if read, ok := of[string(key)]; ok {
			return read()
		}
		return s.skip()
	})
}
