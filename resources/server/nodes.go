package server

import (
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/sublet-hpc/sublet/resources/api"
	"github.com/sublet-hpc/sublet/resources/ledger"
)

// wishRemembered is how long a manager can be out of reach and still learn that it was removed, or that somebody
// wanted a lease ended.
const wishRemembered = 24 * time.Hour

// stateOf says what a registered node is good for.
func stateOf(node *api.NodeStatus, at time.Time) api.NodeState {
	switch {
	case at.Sub(node.Seen) > 2*node.Interval: // a report and a bit are missing; it is not written off yet
		return api.NodeSilent
	case node.Drain == nil:
		return api.NodeLending
	case len(node.Leases) > 0:
		return api.NodeDraining
	}
	return api.NodeDrained
}

// gone are the nodes that drain and have no manager, by name. mu is held.
func (b *book) gone(name string) (api.NodeStatus, bool) {
	drain, drains := b.state.Drains[name]
	if !drains || b.state.Nodes[name] != nil {
		return api.NodeStatus{}, false
	}
	return api.NodeStatus{Node: api.Node{Name: name, Cores: []int{}}, State: api.NodeGone, Drain: &drain, Free: api.Resources{}, Leases: []string{}}, true
}

// node says what there is to know of one.
func (b *book) node(name string, at time.Time) (api.NodeStatus, error) {
	b.lock(at)
	defer b.mu.Unlock()
	for _, node := range b.listNodes("", at) {
		if node.Name == name {
			return node, nil
		}
	}
	if node, drained := b.gone(name); drained {
		return node, nil
	}
	return api.NodeStatus{}, unknownNode(name)
}

func unknownNode(name string) error {
	return api.Because(api.ErrUnknownNode, "there is no node %q; sublet node list shows those that are registered", name)
}

// change applies a command about a node that somebody has named. mu is held.
func (b *book) change(name string, command ledger.Command, at time.Time) error {
	_, err := b.apply(command)
	switch {
	case errors.Is(err, ledger.ErrUnknown):
		return unknownNode(name)
	case errors.Is(err, ledger.ErrInUse):
		return api.Because(api.ErrInUse, "%v", err)
	case err != nil:
		return err
	}
	b.serveWaiting(at)
	return nil
}

// drainNode has a node take no new leases. Its manager learns of it with its next report.
func (b *book) drainNode(name, reason string, at time.Time) error {
	b.lock(at)
	defer b.mu.Unlock()
	err := b.change(name, ledger.DrainNode{Node: name, Reason: reason, At: at}, at)
	if err == nil {
		b.log.Info("node drains", "node", name, "reason", reason)
	}
	return err
}

func (b *book) resumeNode(name string, at time.Time) error {
	b.lock(at)
	defer b.mu.Unlock()
	err := b.change(name, ledger.ResumeNode{Node: name}, at)
	if err == nil {
		b.log.Info("node resumed", "node", name)
	}
	return err
}

// removeNode forgets a node. Its manager is told so with its next report, and ends.
func (b *book) removeNode(name string, force bool, at time.Time) error {
	b.lock(at)
	defer b.mu.Unlock()
	b.bookRest(name, at)
	if err := b.change(name, ledger.ForgetNode{Node: name, Force: force, At: at, Remember: at.Add(remembered), TurnAway: at.Add(wishRemembered)}, at); err != nil {
		return err
	}
	b.log.Info("node removed", "node", name, "force", force)
	delete(b.managers, name)
	return nil
}

// checkRemoved tells a manager that its node has been removed. mu is held.
func (b *book) checkRemoved(name, instance string) error {
	if _, removed := b.state.Removed[instance]; removed {
		return api.Because(api.ErrRemoved, "node %q has been removed (sublet node remove); start another executor manager to lend it again", name)
	}
	return nil
}

// nodes lists those that are registered, by name.
func (b *book) nodes(boot string, at time.Time) []api.NodeStatus {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.listNodes(boot, at)
}

func (b *book) listNodes(boot string, at time.Time) []api.NodeStatus {
	list := []api.NodeStatus{}
	index := map[string]int{}
	for _, name := range slices.Sorted(maps.Keys(b.state.Nodes)) {
		node := b.state.Nodes[name]
		if boot != "" && node.Record.Boot != boot {
			continue
		}
		status := api.NodeStatus{
			Node: node.Record.Clone(), Drain: b.state.Drain(name, at), Outlook: node.Outlook, Free: node.Free(),
			Leases: []string{}, Occupants: map[int]string{}, Seen: b.managers[name].seen, Interval: b.managers[name].interval,
		}
		for _, core := range node.Cores {
			if core.Occupant != "" {
				status.Occupants[core.ID] = core.Occupant
			}
		}
		index[name] = len(list)
		list = append(list, status)
	}
	for _, id := range slices.Sorted(maps.Keys(b.state.Leases)) {
		for _, name := range b.state.Leases[id].Nodes() {
			if i, listed := index[name]; listed {
				list[i].Leases = append(list[i].Leases, id)
			}
		}
	}
	for i := range list {
		list[i].State = stateOf(&list[i], at)
	}
	return list
}
