package manager

import (
	"github.com/sublet-hpc/sublet/resources/api"
	"github.com/sublet-hpc/sublet/resources/ledger"
)

// foreignUser completes the sentence "core 3 is used by".
const foreignUser = "another executor manager of this user"

// claim claims a lease's cores. If another manager has one of them, that is the result.
func (c *capacity) claim(lease api.Lease) (taken int, err error) {
	for _, executor := range lease.Executors {
		if executor.Oversubscribed {
			continue
		}
		for core := range executor.AllCores() {
			ok, err := c.claims.take(core)
			if err != nil {
				return api.NoCore, err
			}
			if !ok {
				return core, nil
			}
		}
	}
	return api.NoCore, nil
}

// reviewForeign looks which cores other managers have given back.
func (c *capacity) reviewForeign() error {
	for core := range c.foreign {
		ok, err := c.claims.take(core)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		c.claims.drop(core)
		delete(c.foreign, core)
		if _, err := ledger.Apply(c.state, ledger.Vacate{Node: c.node.Name, Core: core}); err != nil {
			return err
		}
	}
	return nil
}

// lookAround finds out which cores other managers have claimed and given back.
func (c *capacity) lookAround() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.reviewForeign(); err != nil {
		return err
	}
	claimed, err := c.claims.others()
	if err != nil {
		return err
	}
	for _, id := range claimed {
		core := c.state.Nodes[c.node.Name].Core(id)
		if core == nil || core.Occupant != "" || core.Lease != "" {
			continue
		}
		if err := c.occupy(id, foreignUser); err != nil {
			return err
		}
		c.foreign[id] = true
	}
	return nil
}

// dropFree gives up the claims on cores that an executor has had.
func (c *capacity) dropFree(executor api.Executor) {
	for core := range executor.AllCores() {
		c.dropIfFree(core)
	}
}

// dropIfFree gives up the claim on a core that neither a lease nor a rank of ours has.
func (c *capacity) dropIfFree(id int) {
	core := c.state.Nodes[c.node.Name].Core(id)
	if core != nil && core.Lease == "" && (core.Occupant == "" || c.foreign[id]) {
		c.claims.drop(id)
	}
}
