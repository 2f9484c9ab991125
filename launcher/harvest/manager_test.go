package harvest

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sublet-hpc/sublet/resources/api"
)

// What is free counts once, and who waits for something else than cores does not count.
func TestDemandOf(t *testing.T) {
	nodes := []api.NodeStatus{
		{Node: api.Node{Name: "n1"}, Leases: []string{"a", "b"}},
		{Node: api.Node{Name: "n2"}},
	}
	for _, test := range []struct {
		what    string
		free    int
		waiting []api.Waiting
		want    int
	}{
		{"nobody", 3, nil, 0},
		{"two", 3, []api.Waiting{{Executors: 4, Room: 3}, {Executors: 5, Room: 3}}, 6},
		{"one, for its quota", 3, []api.Waiting{{Executors: 2, Room: 3}}, 0},
		{"one, for cores on one node", 8, []api.Waiting{{Executors: 2, CoresPerExecutor: 6, Room: 1}}, 4},
		{"one, for memory", 8, []api.Waiting{{Executors: 2, Room: 0}}, 1},
	} {
		want := Demand{Known: true, Missing: test.want, Registered: map[string]int{"n1": 2, "n2": 0}}
		if diff := cmp.Diff(want, demandOf(api.Status{Cores: api.CoreCount{Free: test.free}, Waiting: test.waiting}, nodes)); diff != "" {
			t.Errorf("%s wait (-want +got):\n%s", test.what, diff)
		}
	}
}
