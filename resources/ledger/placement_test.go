package ledger_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/sublet-hpc/sublet/resources/api"
	"github.com/sublet-hpc/sublet/resources/ledger"
)

// placed counts a lease's executors on each of its nodes.
func placed(lease api.Lease) map[string]int {
	counts := map[string]int{}
	for _, e := range lease.Executors {
		counts[e.Node]++
	}
	return counts
}

// A lease gets all of its executors, or none. Packed, they are on the least number of nodes that have room for
// them; spread, no node has two more than another that has room for one more.
func TestPlacement(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := ledger.New()
		memory := rapid.SampledFrom([]int64{0, 50 << 20, 100 << 20}).Draw(t, "memory of each")
		each := rapid.IntRange(1, 3).Draw(t, "cores of each")
		var rooms []int
		room := map[string]int{}
		total := 0
		for n := range rapid.IntRange(1, 6).Draw(t, "nodes") {
			record := api.Node{Name: fmt.Sprint("n", n), UID: 7, Memory: rapid.Int64Range(0, 20).Draw(t, "memory") * 50 << 20}
			cores := rapid.IntRange(0, 6).Draw(t, "cores")
			for core := range cores {
				record.Cores = append(record.Cores, core)
			}
			mustApply(t, s, ledger.RegisterNode{Node: record})
			free := cores
			for core := range cores {
				if rapid.IntRange(0, 3).Draw(t, "occupied") == 0 {
					mustApply(t, s, ledger.Occupy{Node: record.Name, Core: core, By: "rank"})
					free--
				}
			}
			free /= each
			if memory > 0 && record.Memory > 0 {
				free = min(free, int(record.Memory/memory))
			} else if record.Memory > 0 { // a share of each core, and at least the least
				share := max(record.Memory/int64(max(cores, 1))&^(1<<20-1), api.LeastShare)
				free = min(free, int(record.Memory/(share*int64(each))))
			}
			rooms = append(rooms, free)
			room[record.Name] = free
			total += free
		}
		command := ledger.Grant{
			Lease: "l", UID: 7, Executors: rapid.IntRange(1, 20).Draw(t, "executors"), CoresPerExecutor: each, Memory: memory,
			Placement: rapid.SampledFrom([]api.Placement{"", api.Pack, api.Spread}).Draw(t, "placement"),
		}
		result, err := ledger.Apply(s, command)
		if err != nil {
			if total >= command.Executors || !errors.As(err, new(*ledger.NoCapacity)) {
				t.Fatalf("%+v with room for %v: %v", command, rooms, err)
			}
			return
		}
		checkBooks(t, s)
		lease := result.Leases[0]
		counts := placed(lease)
		if len(lease.Executors) != command.Executors || slices.ContainsFunc(lease.Executors, func(e api.Executor) bool { return e.Oversubscribed || e.CoreCount() != each }) {
			t.Fatalf("%+v with room for %v: %v", command, rooms, counts)
		}
		if command.Placement == api.Spread {
			for more, high := range counts {
				for fewer, has := range room {
					if low := counts[fewer]; high > low+1 && has > low {
						t.Fatalf("%d executors with room for %v are spread as %v: %s has %d, %s only %d", command.Executors, room, counts, more, high, fewer, low)
					}
				}
			}
			return
		}
		slices.SortFunc(rooms, func(a, b int) int { return b - a })
		least, reach := 0, 0
		for reach < command.Executors {
			reach += rooms[least]
			least++
		}
		if len(counts) != least {
			t.Fatalf("%d executors with room for %v are packed as %v; %d nodes will do", command.Executors, room, counts, least)
		}
	})
}

func mustApply(t *rapid.T, s *ledger.State, command ledger.Command) {
	t.Helper()
	if _, err := ledger.Apply(s, command); err != nil {
		t.Fatalf("%+v: %v", command, err)
	}
}

func TestUnknownPlacement(t *testing.T) {
	s := ledger.New()
	apply(t, s, node(0))
	command := grant("l", 1)
	command.Placement = "stack"
	if _, err := ledger.Apply(s, command); !errors.Is(err, ledger.ErrInvalid) {
		t.Errorf("an unknown placement: %v", err)
	}
}
