package cpus

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNUMA(t *testing.T) {
	tree := func(nodes ...string) string {
		folder := topology(t, "0", "1", "2", "3")
		for cpu, node := range nodes {
			if node != "" {
				check(t, os.Mkdir(filepath.Join(folder, "cpu"+string(rune('0'+cpu)), node), 0o755))
			}
		}
		return folder
	}
	for name, c := range map[string]struct {
		folder string
		cores  []int
		want   map[int]int
	}{
		"two nodes":       {tree("node0", "node1", "node0", "node1"), []int{0, 1, 3}, map[int]int{0: 0, 1: 1, 3: 1}},
		"all on the last": {tree("node0", "node7", "node0", "node7"), []int{1, 3}, nil},
		"nobody says":     {tree(), []int{0, 1}, nil},
		"one is missing":  {tree("node0", "", "node1"), []int{0, 1, 2}, nil},
		"another name":    {tree("node0", "node1x", "node1"), []int{0, 1, 2}, nil},
		"no cores":        {tree("node0"), nil, nil},
	} {
		var cores []Core
		for _, id := range c.cores {
			cores = append(cores, Core{ID: id, CPUs: []int{id}})
		}
		if diff := cmp.Diff(c.want, NUMA(cores, c.folder)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
