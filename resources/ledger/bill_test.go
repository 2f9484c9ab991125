package ledger_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/sublet-hpc/sublet/resources/api"
	"github.com/sublet-hpc/sublet/resources/ledger"
)

// meter is a manager's word on a lease: it only grows.
type meter struct {
	node string
	used api.Used
	told []api.Used // what was reported, and may come again

	forgotten bool // it is heard no more
}

// billing is a ledger under test, with what it should say.
type billing struct {
	state  *ledger.State
	meters []*meter
	lines  map[uint64]api.BillLine // all there ever were
}

func (b *billing) do(t *rapid.T, command ledger.Command) {
	t.Helper()
	before := b.state.Clone()
	result, err := ledger.Apply(b.state, command)
	if err != nil {
		t.Fatalf("%T: %v", command, err)
	}
	if diff := cmp.Diff(before, b.state); result.Unchanged != (diff == "") {
		t.Fatalf("%T says unchanged: %v, and it is (-before +after):\n%s", command, result.Unchanged, diff)
	}
	for _, line := range b.state.Billing.Lines {
		if known, seen := b.lines[line.Line]; seen && known != line {
			t.Fatalf("line %d was %+v and is %+v", line.Line, known, line)
		}
		if before, seen := b.lines[line.Line-1]; seen && line.At.Before(before.At) {
			t.Fatalf("line %d is of before line %d", line.Line, before.Line)
		}
		b.lines[line.Line] = line
	}
	if last := b.state.Billing.Last; int(last) != len(b.lines) {
		t.Fatalf("the last line is %d, and there were %d", last, len(b.lines))
	}
}

// check compares accounts with lines, and what is in no line yet.
func (b *billing) check(t *rapid.T) {
	t.Helper()
	want := map[string]api.Usage{}
	for _, line := range b.lines {
		want[line.Account] = want[line.Account].Plus(line.Usage)
	}
	for _, part := range b.state.Billing.Parts {
		want[part.Account] = want[part.Account].Plus(part.Usage.Minus(part.Lined))
	}
	if diff := cmp.Diff(want, b.state.Billing.Accounts); diff != "" {
		t.Fatalf("accounts are not what lines and parts say (-lines +accounts):\n%s", diff)
	}
}

func anyUsage(t *rapid.T) api.Usage {
	count := func(name string) api.Uint128 {
		return api.Product(rapid.Uint64Range(0, 1<<40).Draw(t, name), rapid.Uint64Range(0, 1<<50).Draw(t, name+" times"))
	}
	return api.Usage{Allocated: count("allocated"), Computing: count("computing"), Spinning: count("spinning")}
}

// Whatever is reported twice, late or never, in which order, and whenever lines are entered, written, or the
// state is written and read: accounts have what their leases have used, once, and lines say the same.
func TestBillAgrees(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := &billing{state: ledger.New(), lines: map[uint64]api.BillLine{}}
		at := noon
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			at = at.Add(time.Duration(rapid.IntRange(-5, 20).Draw(t, "seconds")) * time.Second)
			b.step(t, at)
			b.check(t)
		}
		// In the end each manager is heard once.
		want := map[string]api.Usage{}
		for _, m := range b.meters {
			if !m.forgotten {
				m.used.Ended = at
				b.do(t, ledger.Book{Node: m.node, Used: []api.Used{m.used}, At: at})
			}
			want[m.used.Account] = want[m.used.Account].Plus(m.used.Usage)
		}
		b.check(t)
		if diff := cmp.Diff(want, b.state.Billing.Accounts); diff != "" {
			t.Fatalf("accounts do not have what leases have used (-leases +accounts):\n%s", diff)
		}
	})
}

func (b *billing) step(t *rapid.T, at time.Time) {
	what := rapid.IntRange(0, 11).Draw(t, "what")
	if len(b.meters) == 0 || what == 0 {
		n := len(b.meters)
		b.meters = append(b.meters, &meter{
			node: fmt.Sprintf("n%d", n%3), used: api.Used{
				Lease: fmt.Sprintf("l%d", n/2), User: "ann", Began: at, Account: rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "account"),
			},
		})
		return
	}
	m := b.meters[rapid.IntRange(0, len(b.meters)-1).Draw(t, "lease")]
	if m.forgotten {
		return
	}
	part := ledger.PartOf(m.used.Lease, m.node)
	switch what {
	case 1, 2: // it is used
		if m.used.Ended.IsZero() {
			m.used.Usage = m.used.Plus(anyUsage(t))
		}
	case 3, 4, 5: // reported
		m.told = append(m.told, m.used)
		b.do(t, ledger.Book{Node: m.node, Used: []api.Used{m.used}, At: at})
	case 6: // an earlier report comes again
		if len(m.told) > 0 {
			b.do(t, ledger.Book{Node: m.node, Used: []api.Used{rapid.SampledFrom(m.told).Draw(t, "earlier")}, At: at})
		}
	case 7:
		if m.used.Ended.IsZero() {
			m.used.Ended = at
		}
	case 8:
		b.do(t, ledger.Settle{Parts: []string{part, "none"}, Lost: rapid.Bool().Draw(t, "lost"), At: at})
	case 9:
		if last := b.state.Billing.Last; last > 0 {
			b.do(t, ledger.Written{Line: rapid.Uint64Range(0, last).Draw(t, "line")})
		}
	case 10: // the manager knows that its end was booked, and is heard no more
		booked := b.state.Billing.Parts[part]
		if booked != nil && !m.used.Ended.IsZero() && booked.Usage == m.used.Usage && !booked.Closed.IsZero() {
			b.do(t, ledger.ForgetParts{Parts: []string{part, "none"}})
			m.forgotten = true
		}
	case 11: // a crash
		text, err := json.Marshal(b.state)
		if err != nil {
			t.Fatal(err)
		}
		read := ledger.New()
		if err := json.Unmarshal(text, read); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(b.state, read); diff != "" {
			t.Fatalf("the state is read as another (-written +read):\n%s", diff)
		}
		b.state = read
	}
}

func TestBookRefuses(t *testing.T) {
	state := ledger.New()
	for _, command := range []ledger.Command{
		ledger.Book{Node: "n", Used: []api.Used{{Lease: "", Account: "a"}}},
		ledger.Book{Node: "", Used: []api.Used{{Lease: "l", Account: "a"}}},
		ledger.Book{Node: "n", Used: []api.Used{{Lease: "ok", Account: "a", Usage: api.Usage{Allocated: api.Uint128Of(1)}}, {Lease: "l", Account: ""}}},
		ledger.Written{Line: 1},
	} {
		if _, err := ledger.Apply(state, command); err == nil {
			t.Errorf("%+v was taken", command)
		}
	}
	if diff := cmp.Diff(ledger.New(), state); diff != "" {
		t.Errorf("what was refused has changed something:\n%s", diff)
	}
}

// A node that was given up, and comes back, goes on where it was; what it has used is billed once.
func TestPartThatComesBack(t *testing.T) {
	state := ledger.New()
	apply := func(command ledger.Command) {
		t.Helper()
		if _, err := ledger.Apply(state, command); err != nil {
			t.Fatal(err)
		}
	}
	used := func(n uint64, ended time.Time) ledger.Book {
		return ledger.Book{Node: "n", At: noon, Used: []api.Used{{Lease: "l", User: "ann", Account: "a", Began: noon, Ended: ended, Usage: api.Usage{Computing: api.Uint128Of(n)}}}}
	}
	apply(used(10, time.Time{}))
	apply(ledger.Settle{Parts: []string{"l@n"}, Lost: true, At: noon})
	apply(used(25, time.Time{}))
	apply(used(30, noon))
	var lines []string
	for _, line := range state.Billing.Lines {
		lines = append(lines, fmt.Sprintf("%d: %v lost %v ended %v", line.Line, line.Computing, line.Lost, !line.Ended.IsZero()))
	}
	if diff := cmp.Diff([]string{"1: 10 lost true ended false", "2: 20 lost false ended true"}, lines); diff != "" {
		t.Error(diff)
	}
	if got := state.Billing.Accounts["a"].Computing; got != api.Uint128Of(30) {
		t.Errorf("account a has %v", got)
	}
	if got := slices.Collect(maps.Keys(state.Billing.Parts)); len(got) != 1 {
		t.Errorf("parts: %v", got)
	}
}
