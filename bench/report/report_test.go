package report_test

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sublet-hpc/sublet/bench/record"
	"github.com/sublet-hpc/sublet/bench/report"
)

// series has blocks whose samples are all alike, one value for each.
func series(name string, each int, values ...int64) *record.Series {
	s := &record.Series{Kind: record.Latency, Name: name, Mode: "hot", Transport: "ring", Provider: "memfd", Bytes: 8, Touched: true, InFlight: 1, Executors: 1, Clients: 1, Operations: 1}
	for _, v := range values {
		s.Blocks = append(s.Blocks, record.Block{Elapsed: v * int64(each), Samples: slices.Repeat([]int64{v}, each)})
	}
	return s
}

func run(all ...*record.Series) *record.Run {
	return &record.Run{
		Machine: record.Machine{Host: "n1", Processor: "CPU", Cores: 2, Kernel: "6.1", System: "Debian"},
		Notes:   []string{"Other load: much."}, Executors: []record.Executor{}, Series: all,
	}
}

// The fields that programs rely on, and null where there are too few samples.
func TestJSON(t *testing.T) {
	var b bytes.Buffer
	d := report.New(run(series(record.Sublet, 200, 300, 600, 300, 300, 300, 300, 300), series("raw", 200, 200, 400, 200, 200, 200, 200, 200)))
	if err := d.WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	var got map[string][]map[string]any
	var whole map[string]json.RawMessage
	if err := json.Unmarshal(b.Bytes(), &whole); err != nil {
		t.Fatal(err)
	}
	got = map[string][]map[string]any{}
	for _, name := range []string{"results", "baselines", "ratios"} {
		var list []map[string]any
		if err := json.Unmarshal(whole[name], &list); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got[name] = list
	}
	fields := []string{"mode", "transport", "provider", "bytes", "n", "p50_ns", "p99_ns", "p999_ns", "min_ns", "ci95_ns", "per_second"}
	for _, list := range []string{"results", "baselines"} {
		for _, field := range fields {
			if _, ok := got[list][0][field]; !ok {
				t.Errorf("%s[] has no %s", list, field)
			}
		}
	}
	result, ratio := got["results"][0], got["ratios"][0]
	if result["n"] != 1400.0 || result["p50_ns"] != 300.0 || result["p99_ns"] != 600.0 || result["p999_ns"] != nil || result["min_ns"] != 300.0 {
		t.Errorf("%v", result)
	}
	if got["baselines"][0]["name"] != "raw" || ratio["bytes"] != 8.0 || ratio["mode"] != "hot" || ratio["baseline"] != "raw" || ratio["p50"] != 1.5 {
		t.Errorf("%v", ratio)
	}
	if diff := cmp.Diff([]any{1.5, 1.5}, ratio["ci95"]); diff != "" {
		t.Errorf("interval of the ratio: %s", diff)
	}
}

// Only what was measured alike is compared.
func TestRatiosNeedTheSameKey(t *testing.T) {
	other := series("raw", 1, 1, 1, 1, 1, 1, 1)
	other.Bytes = 9
	if d := report.New(run(series(record.Sublet, 1, 1, 1, 1, 1, 1, 1), other)); len(d.Ratios) != 0 {
		t.Errorf("%+v", d.Ratios)
	}
}

func TestTable(t *testing.T) {
	untouched := series(record.Sublet, 2, 300)
	untouched.Touched = false
	beside := series("mpi", 10, 200, 200, 200, 200, 200, 200)
	beside.Beside = true
	var b bytes.Buffer
	if err := report.New(run(series(record.Sublet, 10, 300, 300, 300, 300, 300, 300), beside, untouched)).WriteTable(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"n1: CPU, 2 cores", "1.50 (1.50 to 1.50), not in turns", "hot, untouched", "too few", "disturbed:\n  Other load: much.",
		"300 ns to 300 ns",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, &b)
		}
	}
}

func TestCompare(t *testing.T) {
	steady := []int64{300, 301, 302, 303, 304, 305, 306, 307}
	scaled := func(factor int64) []int64 {
		all := slices.Clone(steady)
		for i := range all {
			all[i] = all[i] * factor / 100
		}
		return all
	}
	for _, c := range []struct {
		name, want string
		newer      []int64
		throughput bool
	}{
		{"the same", "same", scaled(101), false},
		{"slower", "worse", scaled(150), false},
		{"faster", "better", scaled(50), false},
		{"more of it", "better", scaled(50), true},
		{"less of it", "worse", scaled(150), true},
		{"few", "too few samples", steady[:3], false},
	} {
		older, newer := series(record.Sublet, 1, steady...), series(record.Sublet, 1, c.newer...)
		if c.throughput {
			older.Kind, newer.Kind = record.Throughput, record.Throughput
		}
		changes := report.Compare(run(older), run(newer, series("raw", 1, 5)))
		if len(changes) != 1 || changes[0].Verdict != c.want {
			t.Errorf("%s: %+v, want %s", c.name, changes, c.want)
		}
	}
	elsewhere := run(series(record.Sublet, 1, steady...))
	elsewhere.Machine.Host = "n2"
	var b bytes.Buffer
	here := run(series(record.Sublet, 1, steady...))
	if err := report.WriteChanges(&b, elsewhere, here, report.Compare(elsewhere, here)); err != nil || !strings.Contains(b.String(), "not the same machine") {
		t.Errorf("%v\n%s", err, &b)
	}
}

// A baseline that got slower as well is no change of ours: the ratio says so.
func TestCompareRatios(t *testing.T) {
	steady := []int64{300, 301, 302, 303, 304, 305, 306, 307}
	slow := []int64{600, 602, 604, 606, 608, 610, 612, 614}
	older := run(series(record.Sublet, 1, steady...), series("raw", 1, steady...))
	newer := run(series(record.Sublet, 1, slow...), series("raw", 1, slow...))
	got := map[string]string{}
	for _, c := range report.Compare(older, newer) {
		got[c.Name+"/"+c.Baseline] = c.Verdict
	}
	if diff := cmp.Diff(map[string]string{"sublet/": "worse", "raw/": "worse", "sublet/raw": "same"}, got); diff != "" {
		t.Error(diff)
	}
	newer.Series = newer.Series[:1]
	var b bytes.Buffer
	if err := report.WriteChanges(&b, older, newer, report.Compare(older, newer)); err != nil || !strings.Contains(b.String(), "1 series are in the older file alone") {
		t.Errorf("%v\n%s", err, &b)
	}
}

// A p99 is compared with a p99; the table has a column for it.
func TestTails(t *testing.T) {
	tailed := func(name string, ns, tail int64) *record.Series {
		s := series(name, 98, ns, ns, ns, ns, ns, ns, ns, ns, ns, ns, ns)
		for i := range s.Blocks {
			s.Blocks[i].Samples = append(s.Blocks[i].Samples, tail, tail)
		}
		return s
	}
	d := report.New(run(tailed(record.Sublet, 300, 9000), tailed("raw", 200, 3000)))
	if r := d.Ratios[0]; r.P50 != 1.5 || r.P99 == nil || *r.P99 != 3 || r.P99CI95 == nil || *r.P99CI95 != [2]float64{3, 3} {
		t.Errorf("%+v", r)
	}
	var b bytes.Buffer
	if err := d.WriteTable(&b); err != nil || !strings.Contains(b.String(), "1.50 (1.50 to 1.50)  3.00 (3.00 to 3.00)") {
		t.Errorf("%v\n%s", err, &b)
	}
}

// How much faster a step is, on twice the cores and on as many.
func TestSpeedUp(t *testing.T) {
	var all []*record.Series
	for name, ns := range map[string]int64{record.Sublet: 100, record.OneCore: 190, record.Threads: 98} {
		s := series(name, 1, ns, ns, ns, ns, ns, ns)
		s.Kind = record.Scale
		all = append(all, s)
	}
	var b bytes.Buffer
	if err := report.New(run(all...)).WriteTable(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`sublet +1 +2 `, `one core +1 +1 .* 1\.90 \(1\.90 to 1\.90\)`, `threads +1 +2 .* 0\.98 \(0\.98 to 0\.98\)`} {
		if !regexp.MustCompile(want).Match(b.Bytes()) {
			t.Errorf("no %q in\n%s", want, &b)
		}
	}
}

func TestBenchstat(t *testing.T) {
	var b bytes.Buffer
	if err := report.WriteBenchstat(&b, run(series(record.Sublet, 10, 300, 400))); err != nil {
		t.Fatal(err)
	}
	want := "BenchmarkLatency/sublet/mode=hot/bytes=8/executors=1 10 300.0 ns/op\n" +
		"BenchmarkLatency/sublet/mode=hot/bytes=8/executors=1 10 400.0 ns/op\n"
	if !strings.HasSuffix(b.String(), want) {
		t.Errorf("%s", &b)
	}
}

func TestUnits(t *testing.T) {
	for ns, want := range map[float64]string{0: "0 ns", 299: "299 ns", 999.4: "999 ns", 999.6: "1.00 µs", 1234: "1.23 µs", 45678: "45.7 µs", 1e9: "1.00 s", 350e6: "350 ms"} {
		if got := report.Clock(ns); got != want {
			t.Errorf("%v: %s, want %s", ns, got, want)
		}
	}
	for bytes, want := range map[int]string{0: "0 B", 8: "8 B", 1024: "1 KiB", 1500: "1500 B", 4 << 20: "4 MiB"} {
		if got := report.Size(bytes); got != want {
			t.Errorf("%d: %s, want %s", bytes, got, want)
		}
	}
}
