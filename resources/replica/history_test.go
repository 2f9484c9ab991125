package replica

import (
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/sublet-hpc/sublet/resources/api"
	"github.com/sublet-hpc/sublet/resources/ledger"
)

// anyCommand draws from few names, so that commands meet.
func anyCommand(t *rapid.T) ledger.Command {
	name := rapid.SampledFrom([]string{"n1", "n2"}).Draw(t, "node")
	lease := rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "lease")
	at := noon.Add(time.Duration(rapid.IntRange(0, 1000).Draw(t, "at")) * time.Second)
	executors := rapid.IntRange(1, 4).Draw(t, "executors")
	switch rapid.IntRange(0, 15).Draw(t, "command") {
	case 12, 13:
		used := api.Used{Lease: lease, Account: lease[:1], Usage: api.Usage{Computing: api.Uint128Of(uint64(rapid.IntRange(0, 99).Draw(t, "computing")))}}
		if rapid.Bool().Draw(t, "ended") {
			used.Ended = at
		}
		return ledger.Book{Node: name, Used: []api.Used{used}, At: at}
	case 14:
		return ledger.Settle{Parts: []string{ledger.PartOf(lease, name)}, Lost: rapid.Bool().Draw(t, "lost"), At: at}
	case 15:
		return rapid.SampledFrom([]ledger.Command{ledger.Written{Line: uint64(executors)}, ledger.ForgetParts{Parts: []string{ledger.PartOf(lease, name)}}}).Draw(t, "drop")
	case 0, 1:
		return node(name, rapid.IntRange(1, 4).Draw(t, "cores"))
	case 2:
		return ledger.RemoveNode{Node: name, At: at}
	case 3:
		return ledger.Occupants{Node: name, By: map[int]string{0: rapid.SampledFrom([]string{"", "rank"}).Draw(t, "by")}}
	case 4:
		return ledger.Release{Lease: lease, At: at, Remember: at.Add(time.Minute)}
	case 5:
		return ledger.ReleasePart{Lease: lease, Node: name, At: at, Remember: at.Add(time.Minute)}
	case 6:
		return ledger.Expire{Leases: []string{lease}, At: at, Remember: at.Add(time.Minute)}
	case 7:
		if executors > 1 {
			return ledger.EndLease{Lease: lease, Until: at}
		}
		return ledger.Forget{At: at}
	case 8:
		return ledger.Adopt{Lease: api.Lease{ID: lease, UID: 7}, Executors: []api.Placed{{Index: executors - 1, Executor: api.Executor{
			Node: name, Core: 0, More: rapid.SampledFrom([][]int{nil, {1}, {1, 3}}).Draw(t, "more cores"),
		}}}}
	}
	command := grant(lease, executors)
	command.Oversubscribe, command.At = rapid.Bool().Draw(t, "oversubscribe"), at
	if !command.Oversubscribe {
		command.CoresPerExecutor = rapid.IntRange(0, 3).Draw(t, "cores per executor")
	}
	if rapid.Bool().Draw(t, "spread") {
		command.Placement, command.Until = api.Spread, at.Add(time.Hour)
	}
	return command
}

// Whatever is asked, and whenever the ledger is closed without waiting for what is on its way: it comes back
// as it was after some command, at or behind the last one that was waited for; and lent and free cores
// are together what was registered.
func TestNothingAcknowledgedIsLost(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		directory, err := os.MkdirTemp("", "sublet-replica-")
		must(t, err)
		defer os.RemoveAll(directory)
		open := func() *Replica {
			r, err := Open(Options{Place: Place{Directory: directory}})
			must(t, err)
			return r
		}
		r := open()
		defer func() { _ = r.stop() }()
		states := map[uint64]*ledger.State{0: ledger.New()} // by revision
		acknowledged := uint64(0)
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 29).Draw(t, "what") {
			default:
				_, _ = r.Propose(anyCommand(t))
				states[r.revision] = r.State().Clone()
				checkCores(t, r.State())
				continue
			case 0, 1, 2:
				must(t, r.Mark().Wait(t.Context()))
				acknowledged = r.revision
				continue
			case 3:
				_ = r.raft.Snapshot().Error() // there may be nothing new
				continue
			case 4: // closed as it is
				_ = r.stop()
			case 5:
				must(t, r.Close())
				acknowledged = r.revision
			}
			last := r.revision
			r = open()
			if r.revision < acknowledged || r.revision > last {
				t.Fatalf("it is at revision %d, of %d that were acknowledged and %d that were proposed", r.revision, acknowledged, last)
			}
			if diff := cmp.Diff(states[r.revision], r.State()); diff != "" {
				t.Fatalf("at revision %d it is not what it was (-want +got):\n%s", r.revision, diff)
			}
			acknowledged = r.revision
		}
		if diff := cmp.Diff(r.front, func() *ledger.State { must(t, r.Mark().Wait(t.Context())); return r.machine.image().State }()); diff != "" {
			t.Fatalf("what was decided ahead is not what the log says (-ahead +log):\n%s", diff)
		}
	})
}

func must(t *rapid.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// checkCores compares what nodes say with what leases have.
func checkCores(t *rapid.T, s *ledger.State) {
	t.Helper()
	held := map[string]int64{}
	for _, lease := range s.Leases {
		for _, e := range lease.Executors {
			if !e.Lost && !e.Oversubscribed && e.Core != api.NoCore {
				held[e.Node] += int64(e.CoreCount())
			}
		}
	}
	for name, node := range s.Nodes {
		left := int64(0)
		for _, core := range node.Cores {
			if core.Lease == "" {
				left++
			}
		}
		if registered := int64(len(node.Record.Cores)); held[name]+left != registered {
			t.Fatalf("node %s: leases have %d cores and %d are left, of %d", name, held[name], left, registered)
		}
	}
}
