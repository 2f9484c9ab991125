package main

import (
	"io"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/sublet-hpc/sublet/cmd/internal/output"
	"github.com/sublet-hpc/sublet/cmd/sublet-invoke/options"
)

// resultOf has samples of 1 to n µs, the longest first, of which half is spent in the function.
func resultOf(n int) *result {
	r := &result{library: "/lib.so", output: []byte("four"), executors: []executor{
		{0, "n1", 3, nil, false, "ring", "memfd"}, {1, "n2", 0, nil, true, "ofi-write", "verbs"}, {2, "n2", 1, nil, false, "ofi-write", "verbs"},
	}}
	for i := n; i > 0; i-- {
		d := time.Duration(i) * time.Microsecond
		r.samples = append(r.samples, sample{roundTrip: d, inFunction: d / 2})
	}
	return r
}

func TestReportCounts(t *testing.T) {
	r := newReport(&options.Options{Function: "f"}, 7, resultOf(1000))
	if r.First != 1_000_000 || r.Median != 500_000 || r.P99 == nil || *r.P99 != 990_000 || r.Min != 1000 || r.Max != 1_000_000 || r.FunctionMedian != 250_000 {
		t.Errorf("of 1 to 1000 µs: %+v, p99 %v", r, r.P99)
	}
	if r := newReport(&options.Options{}, 0, resultOf(999)); r.P99 != nil || r.Median != 500_000 {
		t.Errorf("of 1 to 999 µs: %+v", r)
	}
	if r := newReport(&options.Options{}, 0, resultOf(1)); r.Median != 1000 || r.Min != 1000 || r.First != 1000 {
		t.Errorf("of 1 µs: %+v", r)
	}
}

func TestTableNamesEveryNodeAndWay(t *testing.T) {
	var b strings.Builder
	if err := newReport(&options.Options{Function: "100%"}, 7, resultOf(3)).write(&b, output.Table); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"function     100% of /lib.so\n",
		"executors    3 executors on n1, n2\n             1 of 3 executors shared a core, ",
		"transport    ring, provider memfd; ofi-write, provider verbs\n",
		"bytes        7 in, 4 out\n",
		"round trip   median 2.00 µs, no p99 from fewer than 1000, min 1.00 µs; the first 3.00 µs\n",
		"in function  median 1.00 µs\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the table lacks %q:\n%s", want, &b)
		}
	}
}

func TestTableSaysCoresOfEach(t *testing.T) {
	var b strings.Builder
	if err := newReport(&options.Options{Cores: 4}, 7, resultOf(3)).write(&b, output.Table); err != nil {
		t.Fatal(err)
	}
	if want := "executors    3 executors of 4 cores each on n1, n2\n"; !strings.Contains(b.String(), want) {
		t.Errorf("the table lacks %q:\n%s", want, &b)
	}
}

// A median alone does not show that its executor had half a core.
func TestQuietWarnsOfSharedCores(t *testing.T) {
	r := newReport(&options.Options{}, 0, resultOf(1))
	if got := r.warning(output.Quiet); !strings.HasPrefix(got, "1 of 3 executors ") {
		t.Errorf("with a shared core: %q", got)
	}
	for _, format := range []output.Format{output.Table, output.JSON} {
		if got := r.warning(format); got != "" {
			t.Errorf("%s says it itself, and besides %q", format, got)
		}
	}
	r.Executors[1].Oversubscribed = false
	if got := r.warning(output.Quiet); got != "" {
		t.Errorf("without a shared core: %q", got)
	}
}

func TestClock(t *testing.T) {
	for ns, want := range map[int64]string{
		0: "0 ns", 999: "999 ns", 1000: "1.00 µs", 1234: "1.23 µs", 999_400: "999 µs", 999_999: "1000 µs",
		12_345_678: "12.3 ms", 1_500_000_000: "1.50 s", 61_000_000_000: "61.0 s", 7200_000_000_000: "7200 s",
	} {
		if got := clock(ns); got != want {
			t.Errorf("%d ns is written %q, not %q", ns, got, want)
		}
	}
}

// Programs read the fields, people the flags: both are in the document.
func TestDocumentNamesFieldsAndFlags(t *testing.T) {
	text, err := os.ReadFile("../../docs/invoke.md")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, kind := range []reflect.Type{reflect.TypeFor[report](), reflect.TypeFor[executor]()} {
		for i := range kind.NumField() {
			name, _, _ := strings.Cut(kind.Field(i).Tag.Get("json"), ",")
			names = append(names, "`"+name+"`")
		}
	}
	flags := pflag.NewFlagSet("invoke", pflag.ContinueOnError)
	flags.SetOutput(io.Discard)
	options.Declare(flags)
	flags.VisitAll(func(flag *pflag.Flag) { names = append(names, "| `--"+flag.Name) })
	for _, name := range names {
		if !strings.Contains(string(text), name) {
			t.Errorf("docs/invoke.md lacks %s", name)
		}
	}
}
