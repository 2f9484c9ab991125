package ledger_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/sublet-hpc/sublet/resources/api"
	"github.com/sublet-hpc/sublet/resources/ledger"
)

// anyMemory draws multiples of what meets the least share unevenly; often 0.
func anyMemory(t *rapid.T, most int64) int64 {
	return max(rapid.Int64Range(-1, most).Draw(t, "memory"), 0) * 50 << 20
}

// anyCommand draws from few names, so that commands meet.
func anyCommand(t *rapid.T) ledger.Command {
	nodeName := rapid.SampledFrom([]string{"n1", "n2"}).Draw(t, "node")
	lease := rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "lease")
	index := rapid.IntRange(0, 4).Draw(t, "index")
	at := noon.Add(time.Duration(rapid.IntRange(0, 1000).Draw(t, "at")) * time.Second)
	switch rapid.IntRange(0, 20).Draw(t, "command") {
	case 0, 1:
		return ledger.RegisterNode{Node: api.Node{
			Name: nodeName, UID: 7, Cores: rapid.SliceOfNDistinct(rapid.IntRange(0, 5), 0, 4, rapid.ID[int]).Draw(t, "cores"), Memory: anyMemory(t, 8),
			NUMA: rapid.SampledFrom([]map[int]int{nil, {0: 1, 2: 1, 9: 4}}).Draw(t, "numa"),
		}}
	case 2:
		return rapid.SampledFrom([]ledger.Command{
			ledger.DrainNode{Node: nodeName, Reason: "r", At: at},
			ledger.ResumeNode{Node: nodeName},
			ledger.ForgetNode{Node: nodeName, Force: index > 2, At: at, TurnAway: at},
		}).Draw(t, "drain")
	case 3:
		return rapid.SampledFrom([]ledger.Command{
			ledger.RemoveNode{Node: nodeName, At: at},
			ledger.BoundNode{Node: nodeName, Memory: anyMemory(t, 8)},
			ledger.Foresee{Node: nodeName, Outlook: api.Outlook{Ends: at, LendsUntil: at}},
		}).Draw(t, "other node")
	case 4:
		return ledger.Occupy{Node: nodeName, Core: index, By: "rank"}
	case 5:
		return ledger.Vacate{Node: nodeName, Core: index}
	case 6:
		return ledger.Replace{Lease: lease, Executor: index}
	case 7:
		return ledger.Lose{Lease: lease, Executor: index}
	case 8:
		return ledger.Release{Lease: lease, At: at, Remember: at.Add(time.Minute)}
	}
	switch rapid.IntRange(0, 7).Draw(t, "command of leases over several nodes") {
	case 0:
		return ledger.ReleasePart{Lease: lease, Node: nodeName, At: at}
	case 1:
		switch rapid.IntRange(0, 2).Draw(t, "names") {
		case 0:
			return ledger.Forget{At: at}
		case 1:
			return ledger.EndLease{Lease: lease, Until: at}
		}
		return ledger.Remember{Name: lease, Until: at}
	case 2:
		return ledger.Expire{Leases: []string{lease, "e"}, At: at, Remember: at.Add(time.Minute)}
	case 3:
		return ledger.Occupants{Node: nodeName, By: map[int]string{index: rapid.SampledFrom([]string{"", "rank"}).Draw(t, "by")}}
	case 4, 5:
		return ledger.Adopt{
			Lease: api.Lease{ID: lease, UID: 7, Expires: at},
			Executors: rapid.SliceOfN(rapid.Custom(func(t *rapid.T) api.Placed {
				return api.Placed{Index: rapid.IntRange(-1, 4).Draw(t, "index"), Executor: api.Executor{
					Node: rapid.SampledFrom([]string{"n1", "n2"}).Draw(t, "node"), Core: rapid.IntRange(-1, 5).Draw(t, "core"),
					More:           rapid.SampledFrom([][]int{nil, nil, nil, {3}, {2, 4}, {5, 1}}).Draw(t, "more"),
					Oversubscribed: rapid.Bool().Draw(t, "oversubscribed"), Lost: rapid.IntRange(0, 4).Draw(t, "lost") == 0,
					Memory: anyMemory(t, 4),
				}}
			}), 0, 3).Draw(t, "executors"),
		}
	}
	if rapid.Bool().Draw(t, "any node") {
		nodeName = ""
	}
	all := rapid.IntRange(0, 3).Draw(t, "all at once") == 0
	if all {
		lease, nodeName = "", ""
	}
	command := ledger.Grant{
		Lease: lease, Node: nodeName, UID: 7, Executors: index, Oversubscribe: rapid.Bool().Draw(t, "oversubscribe"),
		CoresPerExecutor: max(rapid.IntRange(-2, 4).Draw(t, "cores per executor"), 0),
		Placement:        rapid.SampledFrom([]api.Placement{api.Pack, api.Spread}).Draw(t, "placement"),
		Memory:           anyMemory(t, 4), Keep: rapid.IntRange(0, 2).Draw(t, "keep"), KeepMemory: anyMemory(t, 4), KeepNodes: max(rapid.IntRange(-4, 4).Draw(t, "keep nodes"), 0),
		At: at, Expires: at.Add(time.Minute),
	}
	if all {
		return anyGrantAll(t, command)
	}
	return command
}

// Whatever happens in whatever order: the books agree, a refusal changes nothing, and a replay
// gives the same.
func TestBooksAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, replayed := ledger.New(), ledger.New()
		var done []ledger.Command
		for range rapid.IntRange(1, 60).Draw(t, "commands") {
			command := anyCommand(t)
			before := s.Clone()
			result, err := ledger.Apply(s, command)
			if err != nil || result.Unchanged {
				if diff := cmp.Diff(before, s); diff != "" {
					t.Fatalf("%+v was refused (%v), or is said to change nothing, and changed the state:\n%s", command, err, diff)
				}
			}
			done = append(done, command)
			checkBooks(t, s)
		}
		for _, command := range done {
			_, _ = ledger.Apply(replayed, command)
		}
		if diff := cmp.Diff(s, replayed); diff != "" {
			t.Fatalf("a replay gives another state:\n%s", diff)
		}
	})
}

// checkBooks compares the cores' side of the books with the leases' side.
func checkBooks(t *rapid.T, s *ledger.State) {
	type place struct {
		node string
		core int
	}
	holders, sharers, memory := map[place]string{}, map[place]int{}, map[string]int64{}
	for id, lease := range s.Leases {
		lent := int64(0)
		for i, e := range lease.Executors {
			if !e.Lost && s.Nodes[e.Node] == nil {
				t.Fatalf("executor %d of lease %s is on node %s, which is gone", i, id, e.Node)
			}
			if e.Lost || e.Core == api.NoCore {
				continue
			}
			if e.Oversubscribed && e.CoreCount() > 1 {
				t.Fatalf("executor %d of lease %s shares %d cores", i, id, e.CoreCount())
			}
			for core := range e.AllCores() {
				at := place{e.Node, core}
				switch {
				case e.Oversubscribed:
					sharers[at]++
				case holders[at] != "":
					t.Fatalf("core %d of %s is lent twice: to %s and %s/%d", core, e.Node, holders[at], id, i)
				default:
					holders[at] = fmt.Sprintf("%s/%d", id, i)
				}
			}
			if !e.Oversubscribed {
				memory[e.Node] += e.Memory
				lent += int64(e.CoreCount())
			}
		}
		if held := lease.Resources()[api.Cores]; held != lent {
			t.Fatalf("lease %s has %d cores to itself, and says %d", id, lent, held)
		}
	}
	for name, node := range s.Nodes {
		free, used := int64(0), int64(0)
		for _, core := range node.Cores {
			at, holder := place{name, core.ID}, ""
			if core.Lease != "" {
				holder = fmt.Sprintf("%s/%d", core.Lease, core.Executor)
			}
			if holder != holders[at] || core.Shared != sharers[at] {
				t.Fatalf("core %+v of %s: its leases say %q and %d shares", core, name, holders[at], sharers[at])
			}
			delete(holders, at)
			delete(sharers, at)
			if core.Free() {
				free++
			} else {
				used++
			}
		}
		if free+used != node.Record.Resources()[api.Cores] || free != node.Free()[api.Cores] {
			t.Fatalf("node %s: %d free and %d used of %v; it says %v are free", name, free, used, node.Record.Resources(), node.Free())
		}
	}
	for name, node := range s.Nodes {
		registered, free := node.Record.Resources()[api.Memory], node.Free()[api.Memory]
		if registered == 0 {
			memory[name] = 0 // it is not counted
		}
		if free < 0 || memory[name]+free != registered || memory[name] != node.Lent {
			t.Fatalf("node %s: its leases have %d bytes, %d are free and %d lent of %d", name, memory[name], free, node.Lent, registered)
		}
	}
	if len(holders)+len(sharers) > 0 {
		t.Fatalf("leases have cores that no node has: %v %v", holders, sharers)
	}
}
