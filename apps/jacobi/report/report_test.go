package report

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func ptr[T any](value T) *T { return &value }

func sample() *Report {
	r := &Report{
		N: 2000, Entries: 4000000, Seed: ptr(uint64(1)), Dominance: ptr(1.1), Ranks: 1, OffloadPercent: ptr(50.0), Iterations: 200, Tolerance: 1e-10, Residual: 9.1e-11,
		Seconds: 0.12, SetupSeconds: 0.08, SecondsLocal: ptr(0.228), Speedup: ptr(1.9), Difference: ptr(0.0),
		Cores: 2, CoresLocal: 1, Verified: ptr(true), Distance: ptr(3e-12),
	}
	r.Add(Offloaded{
		Division: Division{Rows: 2000, RowsOffloaded: 1000, RowsDone: 300000, RowsDoneByExecutors: 100000, Moves: 2, MovedRows: 700, MovingSeconds: 0.0123, LeaseSeconds: 0.02},
		Leased:   []Executor{{Node: "n1", Core: 1, Transport: "ring", Provider: "memfd", Rows: 1000, RowsDone: 100000, Seconds: 0.06, Busy: 0.5, Memory: 3 << 29}},
	})
	return r
}

func TestTable(t *testing.T) {
	var b bytes.Buffer
	if err := sample().WriteTable(&b); err != nil {
		t.Fatal(err)
	}
	want := `problem      dense system of 2000 unknowns, seed 1
processes    1 rank, 1 executor
transport    ring, provider memfd
memory       at most 1.5 GiB for each executor's buffers, and as much for its functions
             all local   half offloaded
seconds      0.228       0.120
cores        1           2
speed-up     1.90 on 2 times the cores, 0.95 per core
iterations   200, 600.0 µs each, after 0.080 s of set-up
residual     9.1e-11 (tolerance 1e-10)
difference   0 between the two solutions
solution     verified: 3e-12 from gonum's direct solution
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// With auto the table says what became of it.
func TestTableOfAuto(t *testing.T) {
	r := sample()
	r.OffloadPercent = nil
	var b bytes.Buffer
	if err := r.WriteTable(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"all local   auto\n",
		"share        50.0 % of the rows on executors at the end, 25.0 % over the run; moved 2 times, 700 rows anew to an executor, 0.012 s\n",
		"executors    rank 0, n1 core 1: 1000 rows at the end; 100000 in 0.060 s over the run, busy for 50 % of it\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, &b)
		}
	}
	for range 9 {
		r.Add(Offloaded{Leased: []Executor{{Core: -1}}, Division: Division{Rank: 7, Off: "no executors"}})
	}
	b.Reset()
	if err := r.WriteTable(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"\n             rank 7: no executors\n", "\n             and 2 more (--report json has them)\n"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, &b)
		}
	}
}

// Where cores are too few the table says so, and only a solution that was compared is verified.
func TestTableDoesNotPretend(t *testing.T) {
	for _, test := range []struct {
		change       func(*Report)
		want, absent string
	}{
		{func(r *Report) { r.Leased[0].Oversubscribed, r.Oversubscribed, r.Cores = true, true, 1 }, "too few cores, so 1 of 1 executor shared", "times the cores"},
		{func(r *Report) { r.Verified, r.Distance = nil, nil }, "not compared", "verified"},
		{func(r *Report) { r.Verified = ptr(false) }, "WRONG", "verified"},
		{func(r *Report) { r.SecondsLocal, r.Speedup, r.Difference = nil, nil, nil }, "half offloaded", "speed-up"},
		{func(r *Report) { r.Lost = 2 }, "2 executors; their rows were computed again", ""},
		{func(r *Report) { r.Seed, r.Matrix, r.Sparse, r.Entries = nil, "A.mtx", true, 9998 }, "A.mtx: sparse system of 2000 unknowns, 9998 non-zeros", "seed"},
		{func(r *Report) { r.Seed, r.Matrix, r.RHS = nil, "A.mtx", "b.mtx" }, "A.mtx, b.mtx: dense system of 2000 unknowns\n", "non-zeros"},
		{func(r *Report) { r.OffloadPercent = ptr(12.5) }, "12.5 % offloaded", "half"},
		{func(r *Report) {
			r.SecondsLocal, r.OffloadPercent, r.Transport, r.Provider, r.Leased, r.Executors = nil, ptr(0.0), nil, nil, nil, 0
		}, "none: no executors", "ring"},
	} {
		r := sample()
		test.change(r)
		var b bytes.Buffer
		if err := r.WriteTable(&b); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(b.String(), test.want) || test.absent != "" && strings.Contains(b.String(), test.absent) {
			t.Errorf("want %q and not %q in\n%s", test.want, test.absent, &b)
		}
	}
}

func TestJSON(t *testing.T) {
	decode := func(r *Report) map[string]any {
		var b bytes.Buffer
		if err := r.WriteJSON(&b); err != nil {
			t.Fatal(err)
		}
		var fields map[string]any
		if err := json.Unmarshal(b.Bytes(), &fields); err != nil {
			t.Fatal(err)
		}
		return fields
	}
	got := decode(sample())
	for name, want := range map[string]any{
		"n": 2000.0, "ranks": 1.0, "executors": 1.0, "transport": "ring", "provider": "memfd", "executor_memory_bytes": 1610612736.0, "iterations": 200.0,
		"residual": 9.1e-11, "seconds": 0.12, "setup_seconds": 0.08, "seconds_local": 0.228, "lost": 0.0,
		"oversubscribed": false, "verified": true,
	} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
	got = decode(&Report{N: 3})
	for _, name := range []string{"transport", "provider", "executor_memory_bytes", "verified", "offload_percent"} {
		if value, there := got[name]; value != nil || !there {
			t.Errorf("%s is %v, %v without executors and verification", name, value, there)
		}
	}
	if _, there := got["seconds_local"]; there {
		t.Error("seconds_local was not measured")
	}
	for _, name := range []string{"leased", "losses", "divisions"} {
		if _, isList := got[name].([]any); !isList {
			t.Errorf("%s is %v", name, got[name])
		}
	}
}

func TestAdd(t *testing.T) {
	r := &Report{}
	r.Add(Offloaded{})
	if r.Transport != nil || r.Executors != 0 || r.Oversubscribed {
		t.Errorf("of no executors: %+v", r)
	}
	r.Add(Offloaded{Leased: []Executor{{Transport: "ring", Provider: "memfd", Memory: 7}}, Division: Division{Rows: 100, RowsOffloaded: 20, RowsDone: 90, RowsDoneByExecutors: 10}})
	r.Add(Offloaded{
		Leased: []Executor{{Rank: 1, Transport: "ofi-write", Provider: "tcp", Oversubscribed: true}, {Rank: 1, Transport: "ring", Provider: "memfd"}},
		Lost:   1, Losses: []Loss{{Rank: 1, Text: "gone"}}, Division: Division{Rank: 1, Rows: 100, RowsOffloaded: 80, RowsDone: 60, RowsDoneByExecutors: 40},
	})
	if r.ShareLast != 0.5 || r.Share != 0.25 || r.Lost != 1 || len(r.Losses) != 1 || len(r.Divisions) != 3 {
		t.Errorf("of two ranks: %+v", r)
	}
	if *r.Transport != "ofi-write+ring" || *r.Provider != "memfd+tcp" || r.Executors != 3 || !r.Oversubscribed {
		t.Errorf("of two ranks: %+v, %s, %s", r, *r.Transport, *r.Provider)
	}
}

// A few losses are told one by one, many are counted.
func TestWriteLosses(t *testing.T) {
	r := &Report{}
	told := func() string {
		var b strings.Builder
		r.WriteLosses(&b)
		return b.String()
	}
	if got := told(); got != "" {
		t.Errorf("of no losses: %q", got)
	}
	r.Lost, r.Losses = 1, []Loss{{Rank: 1, Text: "executor 0 on n1 was lost"}}
	if got, want := told(), "jacobi: rank 1: executor 0 on n1 was lost\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	r.Lost, r.Losses = 250, make([]Loss, 200)
	if got := told(); strings.Count(got, "\n") != 6 || !strings.HasSuffix(got, "jacobi: and 245 more\n") {
		t.Errorf("of 250:\n%s", got)
	}
}
