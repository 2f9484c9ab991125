package manager

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/sublet-hpc/sublet/internal/cpus"
	"github.com/sublet-hpc/sublet/resources/api"
	"github.com/sublet-hpc/sublet/resources/ledger"
)

// core is a whole physical core.
type core = cpus.Core

// capacity is what the manager has to lend: the ledger, the claims on cores, and the ranks that
// keep others from being lent.
type capacity struct {
	log   *slog.Logger
	node  api.Node
	cores map[int]core
	list  []core
	all   []int // the job's CPUs, if executors are not pinned; else nil

	surveying sync.Mutex // held while ranks are looked for

	mu      sync.Mutex // guards what follows
	state   *ledger.State
	claims  *claims
	foreign map[int]bool     // occupied by another manager's executor
	ranks   map[int]*os.File // pid → pidfd

	watchers sync.WaitGroup
	changed  func() // called, without waiting, when the book has changed; may be nil
}

func newCapacity(node api.Node, cores []core, log *slog.Logger) (*capacity, error) {
	c := &capacity{
		log: log, node: node, cores: map[int]core{}, list: cores,
		state: ledger.New(), claims: newClaims(node.UID), foreign: map[int]bool{}, ranks: map[int]*os.File{},
	}
	for _, core := range cores {
		c.cores[core.ID] = core
	}
	_, err := ledger.Apply(c.state, ledger.RegisterNode{Node: node})
	return c, err
}

// cpus are those that an executor may run on.
func (c *capacity) cpus(place api.Executor) []int {
	if c.all != nil {
		return c.all
	}
	if len(place.More) == 0 {
		return c.cores[place.Core].CPUs
	}
	var all []int
	for core := range place.AllCores() {
		all = append(all, c.cores[core].CPUs...)
	}
	return all
}

// freeCPUs are those of each core that could be lent now.
func (c *capacity) freeCPUs() (free [][]int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, core := range c.state.Nodes[c.node.Name].Cores {
		if core.Occupant == "" && core.Lease == "" {
			free = append(free, c.cpus(api.Executor{Core: core.ID}))
		}
	}
	return free
}

// free is how many cores nobody has, as far as can be seen now.
func (c *capacity) free() int {
	if err := c.lookAround(); err != nil {
		c.log.Debug("other managers' claims can not be seen", "error", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return int(c.state.Nodes[c.node.Name].Free()[api.Cores])
}

// lendable is how many cores can be lent at all: those that no rank is on.
func (c *capacity) lendable() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for _, core := range c.state.Nodes[c.node.Name].Cores {
		if core.Occupant == "" || c.foreign[core.ID] {
			n++
		}
	}
	return n
}

// wanted is what a lease asks of a node.
type wanted struct {
	executors     int
	cores         int   // of each; 0: one
	memory        int64 // of each, in bytes; 0: a share
	oversubscribe bool
	limit         time.Duration // of the lease's time; 0: none
}

// grant begins a lease whose cores no other manager can lend meanwhile.
func (c *capacity) grant(want wanted) (api.Lease, error) {
	id := make([]byte, 6)
	_, _ = rand.Read(id) // never fails
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.reviewForeign(); err != nil {
		return api.Lease{}, err
	}
	command := ledger.Grant{
		Lease: hex.EncodeToString(id), Node: c.node.Name, UID: c.node.UID, User: c.node.User, Account: c.node.Account,
		Executors: want.executors, CoresPerExecutor: want.cores, Memory: want.memory, Oversubscribe: want.oversubscribe, At: time.Now(),
	}
	if want.limit > 0 {
		command.Until = command.At.Add(want.limit)
	}
	return c.enter(command)
}

// enter enters a lease, and claims its cores. mu is held.
func (c *capacity) enter(command ledger.Command) (api.Lease, error) {
	for { // each turn finds another core taken, or is the last
		result, err := ledger.Apply(c.state, command)
		if err != nil {
			return api.Lease{}, err
		}
		lease := result.Leases[0]
		taken, err := c.claim(lease)
		if err == nil && taken == api.NoCore {
			return lease, nil
		}
		c.giveBack(lease)
		if err != nil {
			return api.Lease{}, err
		}
		if err := c.occupy(taken, foreignUser); err != nil {
			return api.Lease{}, err
		}
		c.foreign[taken] = true
	}
}

// waitInterval is how often a lease that waits tries again: other managers' cores come back without
// a word.
const waitInterval = 20 * time.Millisecond

// wait is grant for those who have time.
func (c *capacity) wait(ctx context.Context, want wanted, patience time.Duration) (api.Lease, error) {
	until := time.Now().Add(patience)
	for {
		lease, err := c.grant(want)
		var missing *ledger.NoCapacity
		if err == nil || !errors.As(err, &missing) || !time.Now().Before(until) {
			return lease, err
		}
		select {
		case <-ctx.Done():
			return api.Lease{}, err
		case <-time.After(min(waitInterval, time.Until(until))):
		}
	}
}

// adopt enters what the resource manager has granted on this node. Its indices are those of the
// executors here, from 0.
func (c *capacity) adopt(ticket *api.Ticket) (api.Lease, error) {
	command := ledger.Adopt{Lease: api.Lease{
		ID: ticket.Lease, UID: ticket.UID, User: ticket.User, Account: ticket.Account, Granted: ticket.Granted, Until: ticket.Until,
	}}
	for i, placed := range ticket.Executors {
		placed.Index, placed.Node = i, c.node.Name
		command.Executors = append(command.Executors, placed)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.reviewForeign(); err != nil {
		return api.Lease{}, err
	}
	return c.enter(command)
}

// release ends a lease, of which nothing runs any more.
func (c *capacity) release(lease string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if record, ok := c.state.Leases[lease]; ok {
		c.giveBack(record.Clone())
	}
}

func (c *capacity) giveBack(lease api.Lease) {
	if _, err := ledger.Apply(c.state, ledger.Release{Lease: lease.ID, At: time.Now()}); err != nil {
		c.log.Error("a lease could not be released", "lease", lease.ID, "error", err)
		return
	}
	for _, executor := range lease.Executors {
		c.dropFree(executor)
	}
}

// replace notes that an executor's process is replaced.
func (c *capacity) replace(lease string, index int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, err := ledger.Apply(c.state, ledger.Replace{Lease: lease, Executor: index})
	return err
}

// lose notes that an executor is gone for good; its cores can be lent again.
func (c *capacity) lose(lease string, index int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	result, err := ledger.Apply(c.state, ledger.Lose{Lease: lease, Executor: index})
	if err != nil {
		c.log.Error("a lost executor could not be written off", "lease", lease, "executor", index, "error", err)
		return
	}
	c.dropFree(result.Leases[0].Executors[index])
	c.change()
}

func (c *capacity) change() {
	if c.changed != nil {
		c.changed()
	}
}

// lent are the executors of a lease as they are now.
func (c *capacity) lent(lease string) []api.Executor {
	c.mu.Lock()
	defer c.mu.Unlock()
	record := c.state.Leases[lease]
	if record == nil {
		return nil
	}
	return record.Clone().Executors
}

// occupants are those who use cores without a lease.
func (c *capacity) occupants() map[int]string {
	c.mu.Lock()
	defer c.mu.Unlock()
	by := map[int]string{}
	for _, core := range c.state.Nodes[c.node.Name].Cores {
		if core.Occupant != "" {
			by[core.ID] = core.Occupant
		}
	}
	return by
}

func (c *capacity) occupy(core int, by string) error {
	_, err := ledger.Apply(c.state, ledger.Occupy{Node: c.node.Name, Core: core, By: by})
	c.change()
	return err
}

// close gives everything back.
func (c *capacity) close() {
	c.mu.Lock()
	for _, pidfd := range c.ranks {
		pidfd.Close()
	}
	c.mu.Unlock()
	c.watchers.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.claims.dropAll()
}
