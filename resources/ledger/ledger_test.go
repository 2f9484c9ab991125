package ledger_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sublet-hpc/sublet/resources/api"
	"github.com/sublet-hpc/sublet/resources/ledger"
)

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func apply(t testing.TB, s *ledger.State, command ledger.Command) ledger.Result {
	t.Helper()
	result, err := ledger.Apply(s, command)
	if err != nil {
		t.Fatalf("%+v: %v", command, err)
	}
	return result
}

func node(cores ...int) ledger.RegisterNode {
	return ledger.RegisterNode{Node: api.Node{Name: "n1", UID: 7, User: "ann", Cores: cores}}
}

func grant(lease string, executors int) ledger.Grant {
	return ledger.Grant{Lease: lease, Node: "n1", UID: 7, User: "ann", Account: "a1", Executors: executors, At: noon}
}

func TestLeaseFromGrantToRelease(t *testing.T) {
	s := ledger.New()
	apply(t, s, node(3, 1, 2))
	got := apply(t, s, grant("l1", 2))
	want := ledger.Result{Leases: []api.Lease{{
		ID: "l1", UID: 7, User: "ann", Account: "a1", Granted: noon,
		Executors: []api.Executor{{Node: "n1", Core: 1}, {Node: "n1", Core: 2}},
	}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("grant (-want +got):\n%s", diff)
	}
	if held := got.Leases[0].Resources(); held[api.Cores] != 2 {
		t.Errorf("the lease holds %v", held)
	}
	apply(t, s, ledger.Replace{Lease: "l1", Executor: 0})
	apply(t, s, ledger.Lose{Lease: "l1", Executor: 1})
	if got := s.Nodes["n1"].Free()[api.Cores]; got != 2 {
		t.Errorf("%d cores are free after one was lost, want 2", got)
	}
	if _, err := ledger.Apply(s, ledger.Replace{Lease: "l1", Executor: 1}); !errors.Is(err, ledger.ErrInvalid) {
		t.Errorf("a lost executor was replaced: %v", err)
	}
	ended := apply(t, s, ledger.Release{Lease: "l1", At: noon.Add(time.Hour)}).Leases[0]
	wantExecutors := []api.Executor{{Node: "n1", Core: 1, Replaced: 1}, {Node: "n1", Core: 2, Lost: true}}
	if diff := cmp.Diff(wantExecutors, ended.Executors); diff != "" {
		t.Errorf("release (-want +got):\n%s", diff)
	}
	if !ended.Ended.Equal(noon.Add(time.Hour)) || len(s.Leases) != 0 || s.Nodes["n1"].Free()[api.Cores] != 3 {
		t.Errorf("after the release: ended %v, leases %v, free %v", ended.Ended, s.Leases, s.Nodes["n1"].Free())
	}
}

func TestRefusalsExplain(t *testing.T) {
	s := ledger.New()
	apply(t, s, node(0, 1, 2, 3, 4, 5))
	apply(t, s, ledger.Occupy{Node: "n1", Core: 0, By: "rank pid 123"})
	apply(t, s, grant("l1", 3))
	for _, c := range []struct {
		executors int
		want      string
	}{
		{3, "3 executors asked, 2 of 6 cores on n1 are free; core 0 is used by rank pid 123; cores 1-3 are lent to lease l1; ask for at most 2, or for oversubscribed executors"},
		{7, "7 executors asked, 2 of 6 cores on n1 are free; core 0 is used by rank pid 123; cores 1-3 are lent to lease l1; ask for fewer, or for oversubscribed executors"},
	} {
		_, err := ledger.Apply(s, grant("l2", c.executors))
		var missing *ledger.NoCapacity
		if !errors.As(err, &missing) {
			t.Fatalf("%d executors: %v", c.executors, err)
		}
		if diff := cmp.Diff(c.want, err.Error()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	apply(t, s, grant("l2", 2))
	_, err := ledger.Apply(s, grant("l3", 1))
	want := "1 executor asked, 0 of 6 cores on n1 are free; core 0 is used by rank pid 123; cores 1-3 are lent to lease l1; cores 4-5 are lent to lease l2; ask again later, or for oversubscribed executors"
	if diff := cmp.Diff(want, fmt.Sprint(err)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestOtherRefusals(t *testing.T) {
	s := ledger.New()
	apply(t, s, node(0, 1))
	apply(t, s, grant("l1", 1))
	other := grant("l2", 1)
	other.UID, other.User = 8, "bob"
	elsewhere := grant("l2", 1)
	elsewhere.Node = "n2"
	for name, c := range map[string]struct {
		command ledger.Command
		want    error
	}{
		"another user":         {other, ledger.ErrUser},
		"an unknown node":      {elsewhere, ledger.ErrUnknown},
		"no executors":         {grant("l2", 0), ledger.ErrInvalid},
		"no name":              {grant("", 1), ledger.ErrInvalid},
		"the same lease":       {grant("l1", 1), ledger.ErrExists},
		"the same node":        {node(5), ledger.ErrExists},
		"a core twice":         {ledger.RegisterNode{Node: api.Node{Name: "n2", Cores: []int{1, 1}}}, ledger.ErrInvalid},
		"a nameless node":      {ledger.RegisterNode{}, ledger.ErrInvalid},
		"release of nothing":   {ledger.Release{Lease: "l9"}, ledger.ErrUnknown},
		"loss of nothing":      {ledger.Lose{Lease: "l1", Executor: 1}, ledger.ErrUnknown},
		"removal of nothing":   {ledger.RemoveNode{Node: "n2"}, ledger.ErrUnknown},
		"drain of nothing":     {ledger.DrainNode{Node: "n2"}, ledger.ErrUnknown},
		"a reason too long":    {ledger.DrainNode{Node: "n1", Reason: strings.Repeat("x", 501)}, ledger.ErrInvalid},
		"a reason of lines":    {ledger.DrainNode{Node: "n1", Reason: "a\nb"}, ledger.ErrInvalid},
		"resume of nothing":    {ledger.ResumeNode{Node: "n2"}, ledger.ErrUnknown},
		"to forget nothing":    {ledger.ForgetNode{Node: "n2", Force: true}, ledger.ErrUnknown},
		"to forget one in use": {ledger.ForgetNode{Node: "n1"}, ledger.ErrInUse},
		"bounds of nothing":    {ledger.BoundNode{Node: "n2", Memory: 1}, ledger.ErrUnknown},
		"bounds of no memory":  {ledger.BoundNode{Node: "n1", Memory: 1}, ledger.ErrInvalid},
		"an unknown core":      {ledger.Occupy{Node: "n1", Core: 7, By: "x"}, ledger.ErrUnknown},
		"an empty core":        {ledger.Vacate{Node: "n1", Core: 1}, ledger.ErrUnknown},
		"a nameless occupant":  {ledger.Occupy{Node: "n1", Core: 1}, ledger.ErrInvalid},
		"a negative executor":  {ledger.Lose{Lease: "l1", Executor: -1}, ledger.ErrUnknown},
		"replacing of nothing": {ledger.Replace{Lease: "l2"}, ledger.ErrUnknown},
		"a part of nothing":    {ledger.ReleasePart{Lease: "l1", Node: "n2"}, ledger.ErrUnknown},
		"a nameless end":       {ledger.Remember{Until: noon}, ledger.ErrInvalid},
		"unknown occupants":    {ledger.Occupants{Node: "n1", By: map[int]string{9: "x"}}, ledger.ErrInvalid},
		"adoption of nothing":  {ledger.Adopt{Lease: api.Lease{ID: "l2", UID: 7}}, ledger.ErrInvalid},
		"an index out of all":  {adopt("l2", 1<<20, 0), ledger.ErrInvalid},
		"another's lease":      {ledger.Adopt{Lease: api.Lease{ID: "l2", UID: 8}, Executors: adopt("l2", 0, 0).Executors}, ledger.ErrUser},
		"a core that is lent":  {adopt("l2", 0, 0), nil},
		"a place of its own":   {adopt("l1", 0, 1), ledger.ErrInvalid},
	} {
		if c.want == nil { // as said in detail
			if _, err := ledger.Apply(s, c.command); !errors.As(err, new(*ledger.NoCapacity)) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		before := s.Clone()
		if _, err := ledger.Apply(s, c.command); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(before, s); diff != "" {
			t.Errorf("%s changed the state:\n%s", name, diff)
		}
	}
}

func TestOversubscribedShareEvenly(t *testing.T) {
	s := ledger.New()
	apply(t, s, node(0, 1, 2))
	apply(t, s, ledger.Occupy{Node: "n1", Core: 0, By: "rank pid 1"})
	command := grant("l1", 7)
	command.Oversubscribe = true
	lease := apply(t, s, command).Leases[0]
	want := []api.Executor{
		{Node: "n1", Core: 1},
		{Node: "n1", Core: 2},
		{Node: "n1", Core: 1, Oversubscribed: true}, // rather beside an executor than beside a rank
		{Node: "n1", Core: 2, Oversubscribed: true},
		{Node: "n1", Core: 0, Oversubscribed: true},
		{Node: "n1", Core: 1, Oversubscribed: true},
		{Node: "n1", Core: 2, Oversubscribed: true},
	}
	if diff := cmp.Diff(want, lease.Executors); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	apply(t, s, ledger.Release{Lease: "l1"})
	if free := s.Nodes["n1"].Free()[api.Cores]; free != 2 {
		t.Errorf("%d cores are free, want 2", free)
	}
}

func TestNodeWithoutCoresSharesNone(t *testing.T) {
	s := ledger.New()
	apply(t, s, node())
	command := grant("l1", 1)
	command.Oversubscribe = true
	lease := apply(t, s, command).Leases[0]
	if diff := cmp.Diff([]api.Executor{{Node: "n1", Core: api.NoCore, Oversubscribed: true}}, lease.Executors); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	apply(t, s, ledger.Lose{Lease: "l1", Executor: 0})
	apply(t, s, ledger.Release{Lease: "l1"})
}

func TestRemovedNodeEndsItsLeases(t *testing.T) {
	s := ledger.New()
	apply(t, s, node(0, 1))
	apply(t, s, ledger.RegisterNode{Node: api.Node{Name: "n2", UID: 7, Cores: []int{0}}})
	apply(t, s, grant("b", 1))
	apply(t, s, grant("a", 1))
	other := grant("c", 1)
	other.Node = "n2"
	apply(t, s, other)
	ended := apply(t, s, ledger.RemoveNode{Node: "n1", At: noon}).Leases
	if len(ended) != 2 || ended[0].ID != "a" || ended[1].ID != "b" || !ended[0].Ended.Equal(noon) {
		t.Errorf("ended: %+v", ended)
	}
	if len(s.Leases) != 1 || s.Leases["c"] == nil || len(s.Nodes) != 1 {
		t.Errorf("left: %v, %v", s.Leases, s.Nodes)
	}
}
