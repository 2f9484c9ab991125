package main

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sublet-hpc/sublet/cmd/internal/usage"
	"github.com/sublet-hpc/sublet/resources/api"
)

// A screen keeps to its terminal, and says what it leaves out.
func TestFit(t *testing.T) {
	lines := []string{"one", "twelve", "drei", "vier"}
	for _, c := range []struct {
		width, height int
		want          []string
	}{
		{80, 24, []string{"one", "twelve", "drei", "vier"}},
		{4, 4, []string{"one", "twel", "drei", "vier"}},
		{80, 3, []string{"one", "twelve", "... and 2 lines more"}},
		{0, 0, []string{"one", "twelve", "drei", "vier"}},
	} {
		if diff := cmp.Diff(c.want, fit(append([]string(nil), lines...), c.width, c.height)); diff != "" {
			t.Errorf("%d times %d (-want +got):\n%s", c.width, c.height, diff)
		}
	}
}

func TestHealth(t *testing.T) {
	for want, nodes := range map[string]map[api.NodeState]int{
		"ok":       {api.NodeLending: 1, api.NodeDrained: 1},
		"no-nodes": {api.NodeDraining: 1},
		"silent":   {api.NodeLending: 1, api.NodeSilent: 1},
	} {
		if got := health(api.Status{Nodes: nodes}); got != want {
			t.Errorf("%v: %s, want %s", nodes, got, want)
		}
	}
}

// Exit codes as documented, also of several failures and of wrapped ones.
func TestExitCodes(t *testing.T) {
	_, both := each([]string{"a", "b"}, func(name string) error { return api.Because(api.ErrUnknownNode, "no %s", name) })
	if both.Error() != "no a\nno b" {
		t.Errorf("both: %q", both)
	}
	lost, used := api.Because(api.ErrUnknownNode, "x"), api.Because(api.ErrInUse, "x")
	for _, c := range []struct {
		err  error
		want int
	}{
		{nil, 0},
		{errors.Join(nil, failures{used, lost}), 5}, // the first's
		{failures{lost, used}, 4},
		{failures{fmt.Errorf("x"), used}, 1},
		{fmt.Errorf("x"), 1},
		{usage.Errorf("x"), 2},
		{fmt.Errorf("x: %w", api.ErrNoResourceManager), 3},
		{fmt.Errorf("x: %w", &api.Unreachable{Err: fmt.Errorf("y")}), 3},
		{both, 4},
		{api.Because(api.ErrUnknownLease, "x"), 4},
		{api.Because(api.ErrInUse, "x"), 5},
		{api.Because(api.ErrNoCapacity, "x"), 1},
	} {
		if got := exitCode(c.err); got != c.want {
			t.Errorf("%v: %d, want %d", c.err, got, c.want)
		}
	}
}
