package server

import (
	"context"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sublet-hpc/sublet/internal/buildtest"
	"github.com/sublet-hpc/sublet/internal/endurance"
	"github.com/sublet-hpc/sublet/internal/hosts"
	"github.com/sublet-hpc/sublet/resources/api"
)

// answers are what clients were told before the resource manager was killed.
type answers struct {
	mu       sync.Mutex
	granted  map[string]api.Lease
	released map[string]bool // false: asked for, and not answered
}

// starter starts resource managers in a directory, as a program, again and again.
func starter(t *testing.T, dir string) func() *hosts.Program {
	t.Helper()
	bin := t.TempDir()
	check(t, buildtest.Programs(bin, "cmd/sublet"))
	return func() *hosts.Program {
		command := exec.Command(filepath.Join(bin, "sublet"), "resource-manager", "--dir", dir)
		command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		before, _ := api.ReadAccess(dir)
		p := hosts.Start(t, command)
		hosts.Eventually(t, "access.json", func() bool {
			access, err := api.ReadAccess(dir)
			return err == nil && access != before
		})
		return p
	}
}

// That a lease and a manager are to end is known to a resource manager that was killed after it had been asked,
// and before they could be told.
func TestKilledBeforeTheEndIsTold(t *testing.T) {
	dir := t.TempDir()
	start := starter(t, dir)
	program := start()
	c := client(t, dir)
	ctx := t.Context()
	for _, name := range []string{"n", "removed"} {
		node := mine(name, 0)
		node.Instance = name
		_, err := c.Register(ctx, node)
		check(t, err)
	}
	granted, err := c.Grant(ctx, api.GrantRequest{Executors: 1, UID: os.Getuid(), User: "ann"})
	check(t, err)
	lease := granted.Lease
	its := lease.Executors[0].Node
	other := map[string]string{"n": "removed", "removed": "n"}[its]
	state := api.State{Held: []api.Held{{
		Lease: lease.ID, UID: lease.UID, User: lease.User, Granted: lease.Granted, Executors: []api.Placed{{Executor: lease.Executors[0]}},
	}}}
	if reply, err := c.Heartbeat(ctx, its, api.Heartbeat{Instance: its, Beat: 1, State: state}); err != nil || len(reply.End) > 0 {
		t.Fatalf("the manager of %s has %+v, %v", its, reply, err)
	}
	check(t, c.End(ctx, lease.ID))
	check(t, c.Remove(ctx, other, false))
	program.End(t, syscall.SIGKILL)
	start()
	reply, err := c.Heartbeat(ctx, its, api.Heartbeat{Instance: its, Beat: 2, State: state})
	check(t, err)
	if !slices.Equal(reply.End, []string{lease.ID}) {
		t.Errorf("the manager of %s is told to end %v", its, reply.End)
	}
	if _, err := c.Heartbeat(ctx, other, api.Heartbeat{Instance: other, Beat: 2}); !errors.Is(err, api.ErrRemoved) {
		t.Errorf("the manager of the node that was removed is told %v", err)
	}
}

// A resource manager that is killed while it grants and takes back has all that it has answered when it is
// started again, and lends no core twice.
func TestEnduranceKilledWhileGranting(t *testing.T) {
	const (
		cores   = 1024
		clients = 16
	)
	dir := t.TempDir()
	start := starter(t, dir)
	program := start()
	manager := client(t, dir)
	registerMany(t, manager, cores)
	billing := reportUsage(t, manager)
	starts := endurance.Watch()
	kills, kept := endurance.Count(3, 20), 0
	for kill := range kills {
		var known usageReported
		told := underLoad(t, dir, clients, func() {
			// Each time at another moment of what goes on.
			<-time.After(100*time.Millisecond + time.Duration(kill)*7*time.Millisecond)
			known = billing.acknowledged()
			program.End(t, syscall.SIGKILL)
		})
		begun := time.Now()
		program = start()
		starts.Add(time.Since(begun))
		kept += told.compare(t, client(t, dir), clients)
		billing.compare(t, client(t, dir), known)
		// Those that are left go, so that the next round begins with few.
		leases, err := manager.Leases(t.Context())
		check(t, err)
		for _, lease := range leases {
			check(t, manager.Release(t.Context(), lease.ID))
		}
	}
	if kept == 0 {
		t.Error("nothing was granted before a kill")
	}
	leases := billing.finish(t, client(t, dir), dir)
	nodes, err := manager.Nodes(t.Context(), "")
	check(t, err)
	if len(nodes) != 1 || nodes[0].Free[api.Cores] != cores {
		t.Errorf("in the end there are %d nodes: %+v", len(nodes), nodes)
	}
	starts.Within(t, 300*time.Millisecond)
	endurance.Report(t, "killed %d times while %d clients were granted leases: all %d leases that they had been told of were there again, and the bills of %d that had ended; it answered again after %v",
		kills, clients, kept, leases, starts)
}

// underLoad has clients ask for leases, and give every third back, until the resource manager is gone.
func underLoad(t *testing.T, dir string, clients int, kill func()) *answers {
	t.Helper()
	told := &answers{granted: map[string]api.Lease{}, released: map[string]bool{}}
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	for range clients {
		c := client(t, dir)
		group.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				grant, err := c.Grant(ctx, api.GrantRequest{Executors: 1, UID: os.Getuid(), User: "ann"})
				if err != nil {
					return // it is gone
				}
				told.mu.Lock()
				told.granted[grant.Lease.ID] = grant.Lease
				told.mu.Unlock()
				if n%3 > 0 {
					continue
				}
				told.mu.Lock()
				told.released[grant.Lease.ID] = false
				told.mu.Unlock()
				if c.Release(ctx, grant.Lease.ID) != nil {
					return
				}
				told.mu.Lock()
				told.released[grant.Lease.ID] = true
				told.mu.Unlock()
			}
		})
	}
	kill()
	cancel() // who is just reading an answer has it, or has not
	group.Wait()
	return told
}

// compare holds what there is to what clients were told, and returns how many leases they were told of that
// have not been given back.
func (a *answers) compare(t *testing.T, c *api.Client, clients int) (kept int) {
	t.Helper()
	leases, err := c.Leases(t.Context())
	check(t, err)
	there := map[string]api.Lease{}
	holders := map[int]string{}
	for _, lease := range leases {
		there[lease.ID] = lease
		core := lease.Executors[0].Core
		if holders[core] != "" {
			t.Errorf("core %d is lent to %s and %s", core, holders[core], lease.ID)
		}
		holders[core] = lease.ID
	}
	unanswered := 0
	for id, lease := range a.granted {
		done, asked := a.released[id]
		found, lasts := there[id]
		switch {
		case !asked && (!lasts || !found.Executors[0].Equal(lease.Executors[0])):
			t.Errorf("lease %s, which was granted on core %d, is %+v", id, lease.Executors[0].Core, found)
		case asked && done && lasts:
			t.Errorf("lease %s, which was released, is there again", id)
		case asked && !done:
			unanswered++
		}
		if !asked {
			kept++
		}
		delete(there, id)
	}
	if more := len(there) + unanswered; more > clients {
		t.Errorf("%d clients have had no answer for %d requests: %v", clients, more, slices.Sorted(maps.Keys(there)))
	}
	nodes, err := c.Nodes(t.Context(), "")
	check(t, err)
	if len(nodes) != 1 || int(nodes[0].Free[api.Cores])+len(leases) != len(nodes[0].Cores) {
		t.Errorf("%d cores are lent, nodes %+v", len(leases), nodes)
	}
	return kept
}
