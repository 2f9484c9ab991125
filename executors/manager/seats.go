package manager

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/sublet-hpc/sublet/internal/pollable"
	"github.com/sublet-hpc/sublet/resources/api"
	"github.com/sublet-hpc/sublet/resources/ledger"
)

// noteRanks keeps the cores of a job's ranks from being lent, as long as the ranks live. The first
// of them to say hello waits for the others.
func (c *capacity) noteRanks(ctx context.Context, pid, launcher, expected int) {
	c.surveying.Lock()
	defer c.surveying.Unlock()
	if c.knows(pid) {
		return
	}
	var ranks []rank
	for _, pid := range findRanks(ctx, pid, launcher, expected, c.log) {
		if c.knows(pid) {
			continue
		}
		r := rank{pid: pid}
		if err := unix.SchedGetaffinity(pid, &r.cpus); err != nil {
			continue // it has gone meanwhile
		}
		ranks = append(ranks, r)
	}
	c.seat(ranks)
}

// knows tells whether a process, or the wrapper that started it, has been noted as a rank.
func (c *capacity) knows(pid int) bool {
	parent, hasParent := parentOf(pid)
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ranks[pid] != nil || hasParent && c.ranks[parent] != nil
}

func (c *capacity) seat(ranks []rank) {
	c.mu.Lock()
	defer c.mu.Unlock()
	taken := map[int]bool{}
	for _, core := range c.state.Nodes[c.node.Name].Cores {
		taken[core.ID] = core.Occupant != "" && !c.foreign[core.ID] || core.Lease != ""
	}
	seats := map[int]int{}
	for core, pid := range seatRanks(ranks, c.list, taken) {
		seats[pid] = core
	}
	for _, r := range ranks {
		pidfd, err := pollable.Process(r.pid)
		if errors.Is(err, unix.ESRCH) {
			continue
		}
		if err != nil {
			c.log.Warn("the end of a rank will not be noticed", "pid", r.pid, "error", err)
			continue
		}
		c.ranks[r.pid] = pidfd
		core, seated := seats[r.pid]
		if seated {
			seated = c.seatRank(core, r.pid)
		} else {
			core = api.NoCore
		}
		c.log.Debug("rank", "pid", r.pid, "core", core)
		c.watchers.Go(func() { c.watchRank(r.pid, pidfd, core, seated) })
	}
}

// seatRank occupies a core for a rank, and claims it so that other jobs' managers keep off. It
// returns whether the core is the rank's: two ranks can be bound to one.
func (c *capacity) seatRank(core, pid int) bool {
	if c.foreign[core] {
		delete(c.foreign, core)
		_, _ = ledger.Apply(c.state, ledger.Vacate{Node: c.node.Name, Core: core})
	}
	if err := c.occupy(core, fmt.Sprintf("rank pid %d", pid)); err != nil {
		c.log.Debug("a rank shares its core", "pid", pid, "error", err)
		return false
	}
	if ok, err := c.claims.take(core); err != nil || !ok {
		c.log.Debug("a rank's core is claimed by another manager", "core", core, "error", err)
	}
	return true
}

func (c *capacity) watchRank(pid int, pidfd *os.File, core int, seated bool) {
	err := pollable.Wait(pidfd)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		return // closed
	}
	pidfd.Close()
	delete(c.ranks, pid)
	if !seated {
		return
	}
	if _, err := ledger.Apply(c.state, ledger.Vacate{Node: c.node.Name, Core: core}); err != nil {
		c.log.Error("a rank's core could not be freed", "pid", pid, "error", err)
	}
	c.dropIfFree(core)
	c.change()
}
