package slurm

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// documents are what a command of several versions writes: 22.05's is recorded, the others have the same in the shapes
// of Slurm's data_parser v0.0.39, v0.0.40 and v0.0.43.
func documents(t testing.TB, command string) map[string][]byte {
	t.Helper()
	paths, err := filepath.Glob("testdata/" + command + "-*.json")
	if err != nil || len(paths) != 4 {
		t.Fatalf("documents of %s: %v, %v", command, paths, err)
	}
	found := map[string][]byte{}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		found[filepath.Base(path)] = data
	}
	return found
}

func TestNodesOfAllVersions(t *testing.T) {
	node := func(name string, n Node) Node {
		n.Name, n.Address, n.CPUs, n.Memory = name, "127.0.0.1", 4, 2<<30
		n.Partitions = []string{"batch", "harvest"}
		return n
	}
	want := []Node{
		node("n1", Node{State: NodeMixed, AllocatedCPUs: 2, AllocatedMemory: 100 << 20}),
		node("n2", Node{State: NodeMixed, AllocatedCPUs: 3, AllocatedMemory: 612 << 20}),
		node("n3", Node{State: NodeIdle, Flags: []string{"DRAIN"}, Reason: `being looked at: "é`}),
	}
	for name, data := range documents(t, "sinfo") {
		got, err := parseNodes(data)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestNodeStates(t *testing.T) {
	for state, want := range map[string]string{
		`"idle"`:                           "IDLE []",
		`"idle","state_flags":["PLANNED"]`: "IDLE [PLANNED]",
		`"down","state_flags":["CLOUD","POWERED_DOWN"]`:     "DOWN [CLOUD POWERED_DOWN]",
		`["IDLE","CLOUD","POWERED_DOWN"]`:                   "IDLE [CLOUD POWERED_DOWN]",
		`["ALLOCATED","COMPLETING","DRAIN"]`:                "ALLOCATED [COMPLETING DRAIN]",
		`["RESERVED","MAINTENANCE"]`:                        "UNKNOWN [RESERVED MAINTENANCE]",
		`["DOWN","NOT_RESPONDING"],"state_flags":null`:      "DOWN [NOT_RESPONDING]",
		`"mixed","next_state_after_reboot":"invalid"`:       "MIXED []",
		`["IDLE"],"reservation":"maint","unknown":{"a":[]}`: "IDLE []",
	} {
		nodes, err := parseNodes([]byte(`{"nodes":[{"name":"n1","state":` + state + `}]}`))
		if err != nil {
			t.Errorf("%s: %v", state, err)
			continue
		}
		if got := string(nodes[0].State) + " [" + strings.Join(nodes[0].Flags, " ") + "]"; got != want {
			t.Errorf("%s: %s, want %s", state, got, want)
		}
	}
	n := Node{Flags: []string{"CLOUD", "DRAIN"}}
	if !n.Is("POWERED_DOWN", "DRAIN") || n.Is("PLANNED") {
		t.Error("Is does not tell flags")
	}
}

// Without --Node, sinfo from 23.02 on folds nodes that are alike into one record.
func TestFoldedNodes(t *testing.T) {
	nodes, err := parseNodes([]byte(`{"sinfo":[{"node":{"state":["MIXED"]},"nodes":{"nodes":["n[1-2]","m"],"addresses":["a1","a2","b"]},
		"cpus":{"allocated":7,"total":12,"minimum":4},"memory":{"minimum":1024,"allocated":512},"features":{"total":"gpu,big"},"partition":{"name":"p"}}]}`))
	if err != nil {
		t.Fatal(err)
	}
	node := func(name, address string) Node {
		return Node{
			Name: name, Address: address, State: NodeMixed, CPUs: 4, AllocatedCPUs: 3,
			Memory: 1 << 30, AllocatedMemory: 512 << 20, Features: []string{"gpu", "big"}, Partitions: []string{"p"},
		}
	}
	if diff := cmp.Diff([]Node{node("n1", "a1"), node("n2", "a2"), node("m", "b")}, nodes); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestNodesRefused(t *testing.T) {
	for data, reason := range map[string]string{
		``:                             "breaks off at byte 0",
		`slurm_load_node: error`:       "no JSON at byte 0",
		`[]`:                           `an object was expected, not "[]"`,
		`{}`:                           "JSON of something else",
		`{"jobs":[]}`:                  "JSON of something else",
		`{"nodes":[]}x`:                "no JSON at byte 12",
		`{"nodes":[{"name":"n1"}`:      "breaks off at byte 23",
		`{"nodes":{}}`:                 `nodes: a list was expected, not "{}"`,
		`{"nodes":[{"name":"n1"},3]}`:  `nodes[1]: an object was expected, not "3"`,
		`{"nodes":[{"state":"idle"}]}`: "nodes[0]: a node without a name",
		`{"nodes":[{"name":3}]}`:       `nodes[0].name: a string was expected, not "3"`,
		`{"nodes":[{"cpus":"many"}]}`:  `nodes[0].cpus: a number was expected, not "\"many\""`,
		`{"nodes":[{"cpus":-1}]}`:      `nodes[0].cpus: -1 is no count`,
		`{"nodes":[{"state":[{}]}]}`:   `nodes[0].state[0]: a string was expected, not "{}"`,
		`{"sinfo":[{"cpus":[]}]}`:      `sinfo[0].cpus: an object was expected, not "[]"`,
		`{"sinfo":[{"memory":{"minimum":{"set":"yes"}}}]}`: `sinfo[0].memory.minimum.set: true or false was expected, not "\"yes\""`,
		`{"sinfo":[{"nodes":{"nodes":"n[1-"}}]}`:           `sinfo[0].nodes.nodes: hostlist "n[1-": a [ without its ]`,
		strings.Repeat(`{"a":`, 100):                       "more than 64 deep",
	} {
		if nodes, err := parseNodes([]byte(data)); err == nil {
			t.Errorf("%s was read as %v", data, nodes)
		} else if !strings.Contains(err.Error(), reason) {
			t.Errorf("%s: %v; it should say %s", data, err, reason)
		}
	}
}

// Whatever sinfo writes is read or refused, and what is read can be relied on.
func FuzzNodes(f *testing.F) {
	for _, seed := range []string{ // short ones: a fuzzer gets nowhere with whole documents
		`{"errors":[{"error":"x","errno":-1}],"nodes":[]}`,
		`{"nodes":[{"name":"n1","state":"idle","state_flags":["DRAIN"],"cpus":4,"real_memory":9,"partitions":["a"],"features":""}]}`,
		`{"sinfo":[{"node":{"state":["IDLE"]},"nodes":{"nodes":["n[1-2]"],"addresses":["a"]},"cpus":{"allocated":1,"minimum":4},"memory":{"minimum":2}}]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		nodes, err := parseNodes(data)
		if err != nil {
			return
		}
		seen := map[string]bool{}
		for _, n := range nodes {
			if n.Name == "" || seen[n.Name] || n.State == "" || n.CPUs < 0 || n.AllocatedCPUs < 0 || n.Memory < 0 || n.AllocatedMemory < 0 {
				t.Errorf("%+v", n)
			}
			seen[n.Name] = true
		}
	})
}
