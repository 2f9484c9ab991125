package hosts_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/sublet-hpc/sublet/internal/hosts"
)

// Where another manager has the name of a node, one that has another name to fall back to takes that, and lends at once.
func TestNameIsTaken(t *testing.T) {
	c := newCluster(t)
	c.Lend(t, hosts.New(t), "--name", "n", "--cores", "1")
	second := c.Lend(t, hosts.New(t), "--name", "n", "--name-if-taken", "n-17", "--cores", "1")
	list, err := c.Client(t).Nodes(within(t), "")
	check(t, err)
	var names []string
	for _, node := range list {
		names = append(names, node.Name)
	}
	if !slices.Equal(names, []string{"n", "n-17"}) {
		t.Errorf("the nodes are %q", names)
	}
	if !strings.Contains(second.Logged(), "this one takes another") {
		t.Errorf("it does not say that it takes another name:\n%s", second.Logged())
	}
	s := session(t)
	l := lease(t, s, 2)
	for _, e := range l.Executors() {
		echo(t, s, e, 1)
	}
	check(t, l.Release())
}
