package bars_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sublet-hpc/sublet/bench/bars"
	"github.com/sublet-hpc/sublet/bench/record"
)

// series has 8 blocks of as many samples, all of them the same time.
func series(kind, name string, ns int64, change func(*record.Series)) *record.Series {
	s := &record.Series{Kind: kind, Name: name, Mode: "hot", Transport: "ring", Provider: "memfd", Bytes: 8, Touched: true, InFlight: 1, Executors: 1, Clients: 1, Operations: 1}
	for range 8 {
		s.Blocks = append(s.Blocks, record.Block{Elapsed: 200 * ns, Samples: slices.Repeat([]int64{ns}, 200)})
	}
	if change != nil {
		change(s)
	}
	return s
}

func verdicts(t *bars.Table) map[string]string {
	all := map[string]string{}
	for _, b := range t.Bars {
		all[b.What+", "+b.Transport+", "+b.Provider] += b.Verdict
	}
	return all
}

// Each promise is held against what it is about, and against nothing else.
func TestVerdicts(t *testing.T) {
	tcp := func(bytes int) func(*record.Series) {
		return func(s *record.Series) { s.Transport, s.Provider, s.Bytes = "ofi-write", "tcp", bytes }
	}
	untouched := func(bytes, against int) func(*record.Series) {
		return func(s *record.Series) { s.Touched, s.Bytes, s.Against = false, bytes, against }
	}
	asleep := func(s *record.Series) { s.Mode = "warm" }
	phase := func(mode string, clients int, pooled bool) func(*record.Series) {
		return func(s *record.Series) { s.Mode, s.Clients, s.Pooled = mode, clients, pooled }
	}
	run := &record.Run{Series: []*record.Series{
		series(record.Latency, record.Sublet, 240, nil), series(record.Latency, "raw", 200, nil), series(record.Latency, "mpi", 290, nil),
		series(record.Latency, record.Sublet, 260, untouched(64<<20, 0)), series(record.Latency, "smallest", 260, untouched(8, 64<<20)),
		series(record.Latency, record.Sublet, 60_000, asleep), series(record.Latency, "raw", 42_000, asleep),
	}}
	other := &record.Run{Series: []*record.Series{
		series(record.Latency, record.Sublet, 1300, tcp(8)), series(record.Latency, "raw", 1000, tcp(8)),
		series(record.Bandwidth, record.Sublet, 1000, tcp(1<<20)), series(record.Bandwidth, "raw", 950, tcp(1<<20)),
		series(record.Bandwidth, record.Sublet, 1000, tcp(4<<20)), series(record.Bandwidth, "raw", 800, tcp(4<<20)),
		series(record.Bandwidth, record.Sublet, 1000, tcp(64<<10)), series(record.Bandwidth, "raw", 100, tcp(64<<10)), // below 1 MiB
		series(record.Cold, record.Sublet, 1e6, phase(record.PhaseTotal, 1, true)),
		series(record.Cold, record.Sublet, 50e6, phase(record.PhaseTotal, 1, false)),
		series(record.Cold, record.Sublet, 1e6, phase(record.PhaseConnect, 1, false)),
		series(record.Cold, record.Sublet, 300e6, phase(record.PhaseLast, 16, true)),
		series(record.Throughput, record.Sublet, 12_800, func(s *record.Series) { s.Bytes, s.InFlight, s.Operations = 0, 8, 64 }),
	}}
	table := bars.New([]*record.Run{run, other})
	want := map[string]string{
		"8 B, hot, against two cache lines, ring, memfd":           bars.Holds,
		"8 B, hot, against MPI's ping-pong, ring, memfd":           bars.Missed,
		"8 B, hot, against libfabric alone, ofi-write, tcp":        bars.Missed,
		"64 MiB by reference, untouched, against 8 B, ring, memfd": bars.Aimed,
		"8 B, warm, against a bare wake, ring, memfd":              bars.Missed,
		"8 B, warm, p99 against a bare wake's, ring, memfd":        bars.Holds,
		"bandwidth, against pipelined writes, ofi-write, tcp":      bars.Holds + bars.Missed,
		"cold, from the pool, ring, memfd":                         bars.Aimed,
		"cold, without a pool, ring, memfd":                        bars.Missed,
		"16 clients at once, the last one ready, ring, memfd":      bars.Holds,
		"empty function, 8 in flight, one executor, ring, memfd":   bars.Holds,
	}
	if diff := cmp.Diff(want, verdicts(table)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	var b bytes.Buffer
	if err := table.Write(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"1.20 to 1.20  ≤ 1.25  1.05  holds", "against pipelined writes, 4 MiB", "5.00 M/s", "50.0 ms", "not measured:", "make rdma-lab-test", "4MiB --baseline raw"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, &b)
		}
	}
}

// The latest run counts, and what disturbed it is marked; without an interval there is no verdict.
func TestLatest(t *testing.T) {
	at := func(hour int, ns int64, blocks int) *record.Run {
		r := &record.Run{Began: time.Date(2026, 1, 1, hour, 0, 0, 0, time.UTC), Series: []*record.Series{series(record.Latency, record.Sublet, ns, nil), series(record.Latency, "raw", 200, nil)}}
		for _, s := range r.Series {
			s.Blocks = s.Blocks[:blocks]
		}
		return r
	}
	old, latest := at(1, 800, 8), at(2, 200, 8)
	latest.Notes = []string{"Other load."}
	table := bars.New([]*record.Run{latest, old})
	if len(table.Bars) != 1 || table.Bars[0].Verdict != bars.Aimed || !table.Bars[0].Disturbed {
		t.Errorf("%+v", table.Bars)
	}
	if table = bars.New([]*record.Run{at(1, 200, 3)}); len(table.Bars) != 1 || table.Bars[0].Verdict != bars.TooFew {
		t.Errorf("%+v", table.Bars)
	}
	if table = bars.New(nil); len(table.Bars) != 0 || len(table.Missing) == 0 {
		t.Errorf("%+v", table)
	}
}
