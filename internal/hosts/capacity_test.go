package hosts_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sublet-hpc/sublet/internal/bytesize"
	"github.com/sublet-hpc/sublet/internal/control"
	"github.com/sublet-hpc/sublet/internal/hosts"
	"github.com/sublet-hpc/sublet/offload"
	"github.com/sublet-hpc/sublet/resources/api"
)

// On this host executors are reached by shared memory; two programs at once never have the same
// core; when all is lent the second waits, or is told why.
func TestTwoProgramsOnOneNode(t *testing.T) {
	c := newCluster(t)
	command := exec.Command(sublet, "executor-manager", "--cores", "2", "--name", "here")
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	c.Start(t, command)
	hosts.Eventually(t, "two cores", func() bool { free, _ := c.Free(t); return free == 2 })

	first, second := session(t), session(t) // both are this process, which sits on a core
	hosts.Eventually(t, "this process's core", func() bool { free, _ := c.Free(t); return free == 1 })
	l := lease(t, first, 1)
	e := l.Executors()[0]
	if path := e.Path(); path.Transport != "ring" || e.Node() != "here" {
		t.Errorf("%s is reached over %+v", e, path)
	}
	echo(t, first, e, 100_000)

	_, err := second.Lease(within(t), offload.Want{Executors: 1, Library: library})
	if !errors.Is(err, offload.ErrNoCapacity) || !strings.Contains(err.Error(), "lent to lease ") || !strings.Contains(err.Error(), fmt.Sprintf("rank pid %d", os.Getpid())) {
		t.Errorf("when all is lent: %v", err)
	}
	began := time.Now()
	_, err = second.Lease(within(t), offload.Want{Executors: 1, Library: library, Wait: 300 * time.Millisecond})
	if took := time.Since(began); !errors.Is(err, offload.ErrNoCapacity) || took < 300*time.Millisecond {
		t.Errorf("after waiting for %v: %v", took, err)
	}
	waited := make(chan error, 1)
	var other *offload.Lease
	go func() {
		var err error
		other, err = second.Lease(within(t), offload.Want{Executors: 1, Library: library, Wait: patience})
		waited <- err
	}()
	time.Sleep(100 * time.Millisecond)
	check(t, l.Release())
	check(t, <-waited)
	if other.Executors()[0].Core() != e.Core() {
		t.Errorf("core %d was free, core %d was lent", e.Core(), other.Executors()[0].Core())
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := first.Lease(ctx, offload.Want{Executors: 1, Library: library, Wait: patience}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a deadline while waiting: %v", err)
	}
	check(t, other.Release())
}

// A manager that is killed takes its node along; started again it is lent again.
func TestKilledManagerComesBack(t *testing.T) {
	c := newCluster(t)
	h := hosts.New(t)
	manager := c.Lend(t, h, "--name", "n", "--cores", "2")
	s := session(t)
	l := lease(t, s, 2)
	manager.End(t, syscall.SIGKILL)
	hosts.Eventually(t, "the loss of both executors", func() bool { return l.Lost() == 2 })
	if _, err := l.Invoke(within(t), "echo", nil, nil).Wait(within(t)); err == nil {
		t.Error("a lost executor answers")
	}
	c.Lend(t, h, "--name", "n", "--cores", "2") // waits until the first is written off
	for _, e := range l.Executors() {
		hosts.Eventually(t, "an executor in place of a lost one", e.Ready)
		echo(t, s, e, 10)
	}
	check(t, l.Release())
	if free, nodes := c.Free(t); free != 2 || nodes != 1 {
		t.Errorf("%d cores of %d nodes are free", free, nodes)
	}
}

// A manager that was silent has its leases still, and reports them.
func TestSilentManagerIsReconciled(t *testing.T) {
	c := newCluster(t)
	h := hosts.New(t)
	manager := c.Lend(t, h, "--name", "n", "--cores", "2")
	client := holder(t, c, 1) // on another host than the manager's; it holds a lease
	hosts.Eventually(t, "its lease", func() bool { free, _ := c.Free(t); return free == 1 })
	manager.Signal(t, syscall.SIGSTOP)
	hosts.Eventually(t, "the write-off", func() bool { _, nodes := c.Free(t); return nodes == 0 })
	// The client has noticed and has gone, or is still there: both must be as it is in the book.
	manager.Signal(t, syscall.SIGCONT)
	hosts.Eventually(t, "the return", func() bool { _, nodes := c.Free(t); return nodes == 1 })
	client.End(t, syscall.SIGKILL)
	hosts.Eventually(t, "all cores", func() bool { free, _ := c.Free(t); return free == 2 })
}

// Leases work on while the resource manager is away; the next one learns of them.
func TestResourceManagerIsKilled(t *testing.T) {
	c := newCluster(t)
	h := hosts.New(t)
	c.Lend(t, h, "--name", "n", "--cores", "2")
	s := session(t)
	l := lease(t, s, 1)
	c.Manager.End(t, syscall.SIGKILL)
	echo(t, s, l.Executors()[0], 1000)
	if _, err := s.Lease(within(t), offload.Want{Executors: 1, Library: library}); err == nil || !strings.Contains(err.Error(), "does not answer") {
		t.Errorf("a lease without a resource manager: %v", err)
	}
	c.Open(t)
	hosts.Eventually(t, "the return of node and lease", func() bool { free, nodes := c.Free(t); return nodes == 1 && free == 1 })
	echo(t, s, l.Executors()[0], 1000)
	other := lease(t, s, 1) // over the same session
	if other.Executors()[0].Core() == l.Executors()[0].Core() {
		t.Error("a core is lent twice")
	}
	check(t, other.Release())
	check(t, l.Release())
	if free, _ := c.Free(t); free != 2 {
		t.Errorf("%d cores are free, not 2", free)
	}
}

// A client that is killed gives its cores back.
func TestKilledClient(t *testing.T) {
	c := newCluster(t)
	c.Lend(t, hosts.New(t), "--cores", "2")
	for _, after := range []time.Duration{0, 50 * time.Millisecond, time.Second} { // before and after its tickets are shown
		client := holder(t, c, 2)
		hosts.Eventually(t, "its lease", func() bool { free, _ := c.Free(t); return free == 0 })
		time.Sleep(after)
		client.End(t, syscall.SIGKILL)
		killed := time.Now()
		hosts.Eventually(t, "all cores", func() bool { free, _ := c.Free(t); return free == 2 })
		if took := time.Since(killed); took > 2*time.Second {
			t.Errorf("killed after %v, capacity was back after %v", after, took)
		}
	}
}

// holderVariable makes the test's program a client that holds a lease.
const holderVariable = "SUBLET_TEST_HOLDER"

func holder(t *testing.T, c *hosts.Cluster, executors int) *hosts.Program {
	t.Helper()
	return c.Start(t, holding(executors))
}

// holding is the command of a client that holds a lease.
func holding(executors int) *exec.Cmd {
	command := hosts.Self("-test.run=^TestHolder$")
	command.Env = append(command.Env, holderVariable+"="+fmt.Sprint(executors), "SUBLET_TEST_LIBRARY="+library)
	return command
}

// Tickets: forged, another client's, used twice. Who tries too many loses the connection.
func TestTickets(t *testing.T) {
	c := newCluster(t)
	h := hosts.New(t)
	c.Lend(t, h, "--name", "n", "--cores", "2")
	client := c.Client(t)
	nodes, err := client.Nodes(within(t), "")
	check(t, err)
	grant, err := client.Grant(within(t), api.GrantRequest{Executors: 1, UID: os.Getuid()})
	check(t, err)
	good := grant.Tickets[0].Ticket
	forged := "e" + good[1:len(good)-2] + "AA"
	address := nodes[0].Address
	for name, ticket := range map[string]string{"none": "", "forged": forged, "cut": good[:len(good)/2], "garbage": "a.b"} {
		if answer := show(t, address, ticket, client.Prove); !strings.Contains(answer, "ticket") {
			t.Errorf("%s: %s", name, answer)
		}
	}
	if answer := show(t, address, good, api.NewOwner().Proof); !strings.Contains(answer, "is not this client's") {
		t.Errorf("another client's: %s", answer)
	}
	if answer := show(t, address, good, func(_ []byte, ticket string) []byte { return client.Prove(make([]byte, api.NonceSize), ticket) }); !strings.Contains(answer, "is not this client's") {
		t.Errorf("with the proof of another connection: %s", answer)
	}
	if answer := show(t, address, good, client.Prove); answer != "" {
		t.Errorf("the ticket itself: %s", answer)
	}
	if answer := show(t, address, good, client.Prove); !strings.Contains(answer, "has been used") {
		t.Errorf("the ticket once more: %s", answer)
	}
	hosts.Eventually(t, "all cores", func() bool { free, _ := c.Free(t); return free == 2 })
}

// Who tries one ticket after the other loses the connection, and who has a right to it leases all the same.
func TestTryingTickets(t *testing.T) {
	c := newCluster(t)
	h := hosts.New(t)
	metrics := h.Address + ":9471"
	p := c.Lend(t, h, "--name", "n", "--cores", "1", "--metrics", metrics)
	nodes, err := c.Client(t).Nodes(within(t), "")
	check(t, err)
	conn, welcome := greet(t, nodes[0].Address)
	defer conn.Close()
	refused := 0
	for call := uint64(2); err == nil && call < 100; call++ {
		err = conn.Send(control.TypeLease, call, control.Manager, control.LeaseRequest{
			Executors: 1, Library: library, Ticket: "a.b", Proof: api.NewOwner().Proof(welcome.Challenge, "a.b"),
		})
		var failed *control.Failed
		if err == nil {
			if err = answered(conn, &control.Granted{}); errors.As(err, &failed) && failed.Code == control.CodeTicket {
				refused++
				err = nil
			}
		}
	}
	if err == nil || refused < 10 || refused > 50 {
		t.Errorf("%d tickets were looked at, and then: %v", refused, err)
	}
	hosts.Eventually(t, "what is logged of it", func() bool { return strings.Contains(p.Logged(), "too many leases without a right") })
	response, err := http.Get("http://" + metrics + "/metrics")
	check(t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	check(t, err)
	counted := func(n int) bool {
		return strings.Contains(string(text), fmt.Sprintf("\nsublet_node_tickets_refused_total %d\n", n))
	}
	if !counted(refused) && !counted(refused+1) { // the last refusal may have been lost with the connection
		t.Errorf("%d refused tickets are not counted", refused)
	}
	check(t, lease(t, session(t), 1).Release())
}

// SIGTERM ends everything cleanly, and nothing is left.
func TestCleanEnd(t *testing.T) {
	c := newCluster(t)
	h := hosts.New(t)
	manager := c.Lend(t, h, "--name", "n", "--cores", "2")
	s := session(t)
	l := lease(t, s, 2)
	manager.End(t, syscall.SIGTERM)
	if !manager.ProcessState.Success() {
		t.Errorf("the executor manager ends with %v", manager.ProcessState)
	}
	if _, nodes := c.Free(t); nodes != 0 {
		t.Errorf("%d nodes are left", nodes)
	}
	hosts.Eventually(t, "the loss of both executors", func() bool { return l.Lost() == 2 })
	check(t, l.Release())
	check(t, s.Close())
	c.Manager.End(t, syscall.SIGTERM)
	if !c.Manager.ProcessState.Success() {
		t.Errorf("the resource manager ends with %v", c.Manager.ProcessState)
	}
	if _, err := api.ReadAccess(c.Dir); !errors.Is(err, api.ErrNoResourceManager) {
		t.Errorf("access.json is left: %v", err)
	}
}

// The lists that people and scripts see.
func TestLists(t *testing.T) {
	c := newCluster(t)
	c.Lend(t, hosts.New(t), "--name", "n1", "--cores", "2")
	s := session(t)
	l := lease(t, s, 1)
	list := func(arguments ...string) string {
		out, err := exec.Command(sublet, arguments...).Output()
		check(t, err)
		return string(out)
	}
	if names := list("node", "list", "--output", "quiet"); names != "n1\n" {
		t.Errorf("nodes: %q", names)
	}
	table := lines(list("node", "list"))
	if len(table) != 2 || !strings.HasPrefix(table[0], "NAME") || len(strings.Fields(table[1])) != 11 { // amounts of memory have a unit
		t.Errorf("nodes: %q", table)
	}
	var nodes []api.NodeStatus
	check(t, json.Unmarshal([]byte(list("node", "list", "--output", "json")), &nodes))
	var leases []api.Lease
	check(t, json.Unmarshal([]byte(list("lease", "list", "--output", "json")), &leases))
	if len(nodes) != 1 || len(leases) != 1 || nodes[0].Leases[0] != leases[0].ID || leases[0].Executors[0].Node != "n1" {
		t.Errorf("%+v, %+v", nodes, leases)
	}
	memory := leases[0].Executors[0].Memory
	if memory < 64<<20 || memory != l.Memory() || nodes[0].Free[api.Memory]+memory != nodes[0].Memory {
		t.Errorf("%d bytes are lent to a lease that has %d, of node %+v", memory, l.Memory(), nodes[0])
	}
	if table := lines(list("lease", "list")); len(table) != 2 || !strings.Contains(table[1], bytesize.Format(memory)) {
		t.Errorf("leases: %q", table)
	}
	check(t, l.Release())
	if empty := list("lease", "list", "--output", "json"); empty != "[]\n" {
		t.Errorf("no leases: %q", empty)
	}
	// Nobody else's resource manager in the same directory.
	out, err := exec.Command(sublet, "resource-manager", "--dir", c.Dir).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "runs already") {
		t.Errorf("a second resource manager: %v, %s", err, out)
	}
}
