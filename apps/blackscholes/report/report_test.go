package report

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sublet-hpc/sublet/apps/internal/seat"
)

func ptr[T any](value T) *T { return &value }

func sample() *Report {
	r := &Report{
		Options: 1000, Seed: ptr(uint64(7)), Precision: "single", Kernel: "vector", Instructions: "avx2", Ranks: 1, Offload: "auto",
		PassSeconds: []float64{3e-6, 1e-6, 2e-6}, ReadingSeconds: 0.5, WritingSeconds: 0.25, LeasingSeconds: 0.04, TotalSeconds: 1,
		Mismatches: ptr(int64(0)), LargestDifference: ptr(2e-5), Seats: []seat.Seat{{Node: "n1", Core: 0, Cores: 4}},
	}
	r.Add([]Executor{{Node: "n1", Core: 1, Transport: "ring", Provider: "memfd", Options: 1500, Seconds: 3e-6}})
	r.Complete()
	return r
}

func TestTable(t *testing.T) {
	var b bytes.Buffer
	if err := sample().WriteTable(&b); err != nil {
		t.Fatal(err)
	}
	want := `options       1000, generated from seed 7
kernel        vector (avx2), single precision
processes     1 rank, 1 executor, on 2 cores
transport     ring, provider memfd
offloaded     50.0 %, found by measuring
seconds       0.0000, 500.0 million options a second; the median of 3 times
beside that   0.50 reading, 0.25 writing, 0.04 leasing; 1.00 in all
prices        checked: at most 2e-05 from the reference
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Where cores are too few the table says so, and only prices that were compared are checked.
func TestTableDoesNotPretend(t *testing.T) {
	for _, test := range []struct {
		change       func(*Report)
		want, absent string
	}{
		{func(r *Report) { r.Leased[0].Oversubscribed = true }, "too few cores, so 1 of 1 executor shared", ""},
		{func(r *Report) { r.Mismatches = nil }, "not compared", "checked"},
		{func(r *Report) { r.Mismatches, r.LargestDifference = ptr(int64(3)), ptr(0.5) }, "WRONG: 3 are 0.0001 or more from the reference, the worst 0.5", "checked"},
		{func(r *Report) { r.Lost = 2 }, "2 executors; their options were priced again", ""},
		{func(r *Report) { r.Seed, r.Input = nil, "a.txt" }, "1000, a.txt", "seed"},
		{func(r *Report) { r.Transport, r.Leased = nil, nil }, "none: no executors", "provider"},
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
	var b bytes.Buffer
	if err := sample().WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]any{
		"options": 1000.0, "seconds": 2e-6, "options_per_second": 5e8, "share": 0.5, "executors": 1.0, "transport": "ring",
		"cores": 2.0, "cores_local": 1.0, "mismatches": 0.0, "lost": 0.0,
	} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
	b.Reset()
	if err := (&Report{}).WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"leased": []`, `"losses": []`, `"mismatches": null`, `"transport": null`} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("an empty report does not say %s:\n%s", want, &b)
		}
	}
}

func TestNotes(t *testing.T) {
	var b strings.Builder
	(&Report{}).WriteNotes(&b)
	if b.Len() > 0 {
		t.Errorf("of nothing: %q", &b)
	}
	(&Report{Lost: 1, Losses: []Loss{{Rank: 1, Text: "executor 0 on n1 was lost"}}, Dividends: 3}).WriteNotes(&b)
	want := "blackscholes: rank 1: executor 0 on n1 was lost\nblackscholes: 3 of the options pay dividends, which the formula leaves out, as PARSEC's program does\n"
	if b.String() != want {
		t.Errorf("%q", &b)
	}
	b.Reset()
	(&Report{Lost: 250, Losses: make([]Loss, 200)}).WriteNotes(&b)
	if got := b.String(); strings.Count(got, "\n") != 6 || !strings.HasSuffix(got, "blackscholes: and 245 more\n") {
		t.Errorf("of 250:\n%s", got)
	}
}

func TestProgress(t *testing.T) {
	for _, terminal := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			var b bytes.Buffer
			p := NewProgress(&b, terminal, "pricing", 20_000_000)
			for done := range int64(20) {
				time.Sleep(time.Second)
				p.Done((done + 1) * 1_000_000)
			}
			p.Close()
			got := b.String()
			if terminal && (strings.Contains(got, "\n") || !strings.Contains(got, "pricing")) {
				t.Errorf("%q", got)
			}
			if !terminal && (strings.Count(got, "\n") != 4 || !strings.HasPrefix(got, "blackscholes: pricing: 5000000 of 20000000 options, 25 %\n")) {
				t.Errorf("%q", got)
			}
		})
	}
	var none *Progress
	none.Done(1)
	none.Close()
}
