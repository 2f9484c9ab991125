package hosts_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/sublet-hpc/sublet/internal/hosts"
	"github.com/sublet-hpc/sublet/offload"
	"github.com/sublet-hpc/sublet/resources/api"
)

// Memory is lent with the cores of all nodes: what a lease asks for is what its executors have on every
// one of them, what is lent can not be had again, and what no node has is refused.
func TestMemoryOfSeveralNodes(t *testing.T) {
	c := newCluster(t)
	for _, name := range []string{"n1", "n2"} {
		c.Lend(t, hosts.New(t), "--name", name, "--cores", "2")
	}
	s := session(t)
	resources := c.Client(t)
	nodes, err := resources.Nodes(within(t), "")
	check(t, err)
	whole := min(nodes[0].Memory, nodes[1].Memory)
	if whole < 256<<20 {
		t.Fatalf("the nodes have %d bytes of memory", whole)
	}
	want := offload.Want{Executors: 2, Library: library, Memory: whole/2 + 1}
	l, err := s.Lease(within(t), want)
	check(t, err)
	on := map[string]bool{}
	for _, e := range l.Executors() {
		on[e.Node()] = true
		if e.Memory() != want.Memory {
			t.Errorf("%s has %d bytes, not %d", e, e.Memory(), want.Memory)
		}
		echo(t, s, e, 100_000)
	}
	if len(on) != 2 || l.Memory() != want.Memory {
		t.Errorf("two executors that need more than half of a node are on %v, with %d bytes", on, l.Memory())
	}
	want.Executors = 1
	_, err = s.Lease(within(t), want)
	if !errors.Is(err, offload.ErrNoCapacity) || !strings.Contains(err.Error(), "Want.Memory") || !strings.Contains(err.Error(), "2 of 4 cores") {
		t.Errorf("more memory than is left: %v", err)
	}
	check(t, l.Release())
	want.Memory = 1 << 60
	if _, err = s.Lease(within(t), want); !errors.Is(err, offload.ErrNoCapacity) || !strings.Contains(err.Error(), "none of 2 nodes has more than") {
		t.Errorf("more memory than there is: %v", err)
	}

	want.Memory = 32 << 20
	l, err = s.Lease(within(t), want)
	check(t, err)
	large := offload.Alloc[byte](s, 33<<20)
	if _, err := l.Invoke(within(t), "echo", large, nil).Wait(within(t)); !errors.Is(err, offload.ErrPayloadTooLarge) {
		t.Errorf("on another host, beyond the limit: %v", err)
	}
	check(t, l.Release())
	hosts.Eventually(t, "all memory", func() bool {
		nodes, err = resources.Nodes(within(t), "")
		check(t, err)
		return nodes[0].Free[api.Memory] == nodes[0].Memory && nodes[1].Free[api.Memory] == nodes[1].Memory
	})
}
