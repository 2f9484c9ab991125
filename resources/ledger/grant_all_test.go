package ledger_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/sublet-hpc/sublet/resources/api"
	"github.com/sublet-hpc/sublet/resources/ledger"
)

// anyGrantAll draws leases that are like a grant. Few are refused for what they say.
func anyGrantAll(t *rapid.T, like ledger.Grant) ledger.GrantAll {
	command := ledger.GrantAll{Grant: like}
	command.Grant.Executors = 0
	for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c", "d"}), 1, 4, rapid.ID[string]).Draw(t, "leases") {
		share := ledger.Share{Lease: name, Executors: rapid.IntRange(1, 3).Draw(t, "executors"), Near: rapid.SampledFrom([]string{"", "n1", "n2", "n3"}).Draw(t, "near")}
		command.Grant.Executors += share.Executors
		command.Shares = append(command.Shares, share)
	}
	return command
}

// cluster has nodes with so many cores each.
func cluster(t *testing.T, cores ...int) *ledger.State {
	t.Helper()
	s := ledger.New()
	for i, count := range cores {
		record := api.Node{Name: fmt.Sprintf("n%d", i+1), UID: 7}
		for core := range count {
			record.Cores = append(record.Cores, core)
		}
		apply(t, s, ledger.RegisterNode{Node: record})
	}
	return s
}

// forRanks asks for so many executors for each rank, which is on the node of that name.
func forRanks(executors int, nodes ...string) ledger.GrantAll {
	c := ledger.GrantAll{Grant: ledger.Grant{UID: 7, Executors: executors * len(nodes), Placement: api.Spread, At: noon}}
	for rank, node := range nodes {
		c.Shares = append(c.Shares, ledger.Share{Lease: fmt.Sprintf("r%d", rank), Executors: executors, Near: node})
	}
	return c
}

// nodesOf are where the executors of leases are, by lease.
func nodesOf(leases []api.Lease) [][]string {
	var all [][]string
	for _, lease := range leases {
		var nodes []string
		for _, e := range lease.Executors {
			nodes = append(nodes, e.Node)
		}
		all = append(all, nodes)
	}
	return all
}

func TestLeasesForRanksAreNearThem(t *testing.T) {
	for name, c := range map[string]struct {
		cores   []int
		command ledger.GrantAll
		want    [][]string
	}{
		"room for all": {[]int{4, 4}, forRanks(2, "n1", "n2", "n1", "n2"), [][]string{{"n1", "n1"}, {"n2", "n2"}, {"n1", "n1"}, {"n2", "n2"}}},
		// Ranks of one node have equal parts of it, and what is left over is where nobody is at home.
		"room for some": {[]int{2, 2, 4}, forRanks(2, "n1", "n2", "n1", "n2"), [][]string{{"n1", "n3"}, {"n2", "n3"}, {"n1", "n3"}, {"n2", "n3"}}},
		"odd":           {[]int{3, 1}, forRanks(2, "n1", "n1"), [][]string{{"n1", "n1"}, {"n1", "n2"}}},
		"from outside":  {[]int{2, 2}, forRanks(2, "login", ""), [][]string{{"n1", "n2"}, {"n1", "n2"}}},
	} {
		t.Run(name, func(t *testing.T) {
			s := cluster(t, c.cores...)
			result := apply(t, s, c.command)
			if diff := cmp.Diff(c.want, nodesOf(result.Leases)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			for _, lease := range result.Leases {
				if diff := cmp.Diff(*s.Leases[lease.ID], lease); diff != "" {
					t.Errorf("another lease than is told:\n%s", diff)
				}
				apply(t, s, ledger.Release{Lease: lease.ID})
			}
			if diff := cmp.Diff(cluster(t, c.cores...), s); diff != "" {
				t.Errorf("left behind:\n%s", diff)
			}
		})
	}
}

func TestLeasesForRanksAreRefusedTogether(t *testing.T) {
	other := forRanks(1, "n1", "n1")
	other.Shares[1].Lease = "r0"
	miscounted := forRanks(2, "n1", "n1")
	miscounted.Grant.Executors = 3
	named := forRanks(1, "n1")
	named.Grant.Lease = "all"
	for name, c := range map[string]struct {
		command ledger.GrantAll
		want    error
	}{
		"the same name twice":    {other, ledger.ErrExists},
		"a name that is used":    {forRanks(1, "n1"), ledger.ErrExists},
		"another sum":            {miscounted, ledger.ErrInvalid},
		"a name for all":         {named, ledger.ErrInvalid},
		"none":                   {ledger.GrantAll{Grant: ledger.Grant{UID: 7}}, ledger.ErrInvalid},
		"a lease of nothing":     {forRanks(0, "n1"), ledger.ErrInvalid},
		"another user":           {ledger.GrantAll{Grant: ledger.Grant{UID: 8, Executors: 1}, Shares: []ledger.Share{{Lease: "x", Executors: 1}}}, ledger.ErrUser},
		"oversubscribed threads": {ledger.GrantAll{Grant: ledger.Grant{UID: 7, Executors: 1, CoresPerExecutor: 2, Oversubscribe: true}, Shares: []ledger.Share{{Lease: "x", Executors: 1}}}, ledger.ErrInvalid},
	} {
		s := cluster(t, 4)
		used := grant("r0", 1)
		if name == "a name that is used" {
			apply(t, s, used)
		}
		before := s.Clone()
		if _, err := ledger.Apply(s, c.command); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(before, s); diff != "" {
			t.Errorf("%s changed the state:\n%s", name, diff)
		}
	}
	s := cluster(t, 2, 1)
	_, err := ledger.Apply(s, forRanks(2, "n1", "n2"))
	var missing *ledger.NoCapacity
	if !errors.As(err, &missing) || missing.Executors != 4 || missing.Room != 3 {
		t.Errorf("four executors of three cores: %v", err)
	}
}

// Leases for ranks are granted exactly when one lease of as many executors is; each has what it asked for, as much of it
// near as there is room, and of that nobody has two more than another who wants more.
func TestLeasesForRanksAreLikeOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := ledger.New()
		room := map[string]int{}
		each := rapid.IntRange(1, 3).Draw(t, "cores per executor")
		for _, name := range []string{"n1", "n2", "n3"} {
			record := api.Node{Name: name, UID: 7, Cores: rapid.SliceOfNDistinct(rapid.IntRange(0, 11), 0, 8, rapid.ID[int]).Draw(t, "cores")}
			if _, err := ledger.Apply(s, ledger.RegisterNode{Node: record}); err != nil {
				t.Fatal(err)
			}
			room[name] = len(record.Cores) / each
		}
		like := ledger.Grant{
			UID: 7, CoresPerExecutor: each, Placement: rapid.SampledFrom([]api.Placement{api.Pack, api.Spread}).Draw(t, "placement"),
			Keep: rapid.IntRange(0, 2).Draw(t, "keep"), At: noon,
		}
		command := anyGrantAll(t, like)
		single := command.Grant
		single.Lease = "one"
		_, refused := ledger.Apply(s.Clone(), single)
		result, err := ledger.Apply(s, command)
		if (refused == nil) != (err == nil) {
			t.Fatalf("as one lease: %v; as several: %v", refused, err)
		}
		if err != nil {
			if refused.Error() != err.Error() {
				t.Fatalf("as one lease: %v; as several: %v", refused, err)
			}
			return
		}
		checkBooks(t, s)
		near := map[string][]int{} // how many of each that is near to it are on a node
		whole := map[string][]int{}
		for i, lease := range result.Leases {
			share := command.Shares[i]
			if lease.ID != share.Lease || len(lease.Executors) != share.Executors {
				t.Fatalf("%+v has %+v", share, lease)
			}
			for k, e := range lease.Executors {
				if e.Oversubscribed || e.CoreCount() != each || s.Nodes[e.Node].Core(e.Core).Executor != k {
					t.Fatalf("executor %d is %+v", k, e)
				}
			}
			its := len(slices.DeleteFunc(slices.Clone(lease.Executors), func(e api.Executor) bool { return e.Node != share.Near }))
			near[share.Near] = append(near[share.Near], its)
			whole[share.Near] = append(whole[share.Near], share.Executors)
		}
		for node, counts := range near {
			sum, wanted := 0, 0
			for i, count := range counts {
				sum += count
				wanted += whole[node][i]
				for _, other := range counts {
					if other > count+1 && count < whole[node][i] {
						t.Fatalf("of node %s leases have %v, and want %v", node, counts, whole[node])
					}
				}
			}
			if like.Keep == 0 && room[node] > 0 && sum < min(wanted, room[node]) {
				t.Fatalf("node %s has room for %d, its leases want %v and have %v there", node, room[node], whole[node], counts)
			}
		}
	})
}

// A manager's ledger has leases in the order in which their clients come, which need not be that in which they were placed.
func TestWhoHasACoreMayComeAfterWhoSharesIt(t *testing.T) {
	s := cluster(t, 1)
	adopt := func(lease string, shares bool) error {
		placed := api.Placed{Executor: api.Executor{Node: "n1", Core: 0, Oversubscribed: shares}}
		_, err := ledger.Apply(s, ledger.Adopt{Lease: api.Lease{ID: lease, UID: 7}, Executors: []api.Placed{placed}})
		return err
	}
	if err := errors.Join(adopt("shares", true), adopt("has", false)); err != nil {
		t.Fatal(err)
	}
	if core := s.Nodes["n1"].Core(0); core.Lease != "has" || core.Shared != 1 {
		t.Errorf("%+v", core)
	}
	var missing *ledger.NoCapacity
	if err := adopt("has too", false); !errors.As(err, &missing) {
		t.Errorf("a second one: %v", err)
	}
	apply(t, s, ledger.Release{Lease: "has"})
	apply(t, s, ledger.Occupy{Node: "n1", Core: 0, By: "rank pid 1"})
	if err := adopt("late", false); !errors.As(err, &missing) {
		t.Errorf("beside a rank: %v", err)
	}
	apply(t, s, ledger.Release{Lease: "shares"})
}
