package bench_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sublet-hpc/sublet/bench"
	"github.com/sublet-hpc/sublet/bench/record"
)

type measure func(context.Context, *bench.Options) (*record.Run, error)

// measured measures, and checks what every record must have.
func measured(t *testing.T, o *bench.Options, f measure) *record.Run {
	t.Helper()
	if err := o.Check(); err != nil {
		t.Fatal(err)
	}
	run, err := f(within(t), o)
	if err != nil {
		t.Fatal(err)
	}
	if len(run.Series) == 0 || run.Machine.Cores < 1 || run.Machine.Processor == "" || run.Versions.Sublet == "" || len(run.Executors) == 0 || run.Seconds <= 0 {
		t.Errorf("the record lacks something: %+v", run)
	}
	for _, s := range run.Series {
		if len(s.Blocks) == 0 {
			t.Fatalf("%s of %s has no blocks", s.Kind, s.Name)
		}
		for _, b := range s.Blocks {
			if len(b.Samples) == 0 || slices.Min(b.Samples) <= 0 || b.Elapsed <= 0 {
				t.Fatalf("%s of %s has a block of %v", s.Kind, s.Name, b)
			}
		}
	}
	return run
}

// find is the series with a name and size.
func find(t *testing.T, run *record.Run, name string, size int) *record.Series {
	t.Helper()
	i := slices.IndexFunc(run.Series, func(s *record.Series) bool { return s.Name == name && s.Bytes == size })
	if i < 0 {
		t.Fatalf("no series of %s with %d bytes", name, size)
	}
	return run.Series[i]
}

// Every transport, with every baseline, for payloads in the line, behind it, and in regions. Outputs are
// compared with inputs on the way.
func TestLatency(t *testing.T) {
	for _, c := range []struct{ transport, provider, really, wants string }{
		{"ring", "", "ring", "memfd"},
		{"ofi-write", "tcp", "ofi-write", "tcp"},
		{"ofi-send", "tcp", "ofi-send", "tcp"},
		{"ofi", "shm", "ofi-write", "shm"},
	} {
		t.Run(c.transport+c.provider, func(t *testing.T) {
			o := options()
			path(t, o, c.transport, c.provider)
			o.Sizes, o.Baselines = []int{1, 8, 100, 70_000}, []string{bench.Raw}
			if c.transport == "ring" {
				o.Baselines = []string{bench.Raw, bench.TCP, bench.HTTP, bench.Invoke}
			}
			run := measured(t, o, bench.Latency)
			if (run.Versions.Libfabric != "") != (c.transport != "ring") {
				t.Errorf("libfabric %q", run.Versions.Libfabric)
			}
			for _, size := range o.Sizes {
				ours := find(t, run, record.Sublet, size)
				if ours.Transport != c.really || ours.Provider != c.wants || len(ours.Blocks) != 8 || len(ours.Samples()) != 24 || !ours.Touched {
					t.Errorf("%d bytes: %+v", size, ours)
				}
				for _, baseline := range o.Baselines {
					if other := find(t, run, baseline, size); other.Key() != ours.Key() || len(other.Blocks) != len(ours.Blocks) {
						t.Errorf("%s of %d bytes can not be compared: %+v", baseline, size, other.Key())
					}
				}
			}
		})
	}
}

// Without touching, and without a payload.
func TestLatencyUntouched(t *testing.T) {
	o := options()
	path(t, o, "ring", "")
	o.Sizes, o.Touch, o.Baselines = []int{0, 1 << 20}, false, []string{bench.Raw}
	for _, s := range measured(t, o, bench.Latency).Series {
		if s.Touched {
			t.Errorf("%s is not marked", s.Name)
		}
	}
}

func TestLatencyPipelined(t *testing.T) {
	o := options()
	path(t, o, "ring", "")
	o.InFlight, o.Sizes, o.Baselines = bench.MaxInFlight, []int{8, 100, 70_000}, []string{bench.Raw}
	run := measured(t, o, bench.Latency)
	for _, size := range o.Sizes {
		if ours, raw := find(t, run, record.Sublet, size), find(t, run, bench.Raw, size); ours.Key() != raw.Key() || len(raw.Blocks) != len(ours.Blocks) {
			t.Errorf("%+v, %+v", ours.Key(), raw.Key())
		}
	}
	if s := find(t, run, record.Sublet, 8); len(s.Samples()) != 24 || s.InFlight != bench.MaxInFlight {
		t.Errorf("%+v", s)
	}
}

// An executor that is warm sleeps, and so does the floor's: both have to be woken.
func TestWarm(t *testing.T) {
	o := options()
	path(t, o, "ring", "")
	o.Mode, o.Baselines = bench.Warm, []string{bench.Raw}
	run := measured(t, o, bench.Latency)
	if a, b := find(t, run, record.Sublet, 8), find(t, run, bench.Raw, 8); a.Mode != bench.Warm || a.Key() != b.Key() {
		t.Errorf("%+v, %+v", a.Key(), b.Key())
	}
}

// Sublet with a small payload takes turns with a large one.
func TestAgainstTheSmallest(t *testing.T) {
	o := options()
	path(t, o, "ring", "")
	o.Sizes, o.Touch, o.Baselines = []int{8, 1 << 20}, false, []string{bench.Smallest}
	run := measured(t, o, bench.Latency)
	large := find(t, run, record.Sublet, 1<<20)
	i := slices.IndexFunc(run.Series, func(s *record.Series) bool { return s.Name == bench.Smallest && s.Key() == large.Key() })
	if i < 0 || run.Series[i].Bytes != 8 {
		t.Errorf("nothing of 8 bytes is comparable with %+v", large.Key())
	}
}

func TestBandwidth(t *testing.T) {
	for _, c := range [][2]string{{"ring", ""}, {"ofi-write", "tcp"}, {"ofi-send", "tcp"}, {"ofi", "shm"}} {
		t.Run(c[0]+c[1], func(t *testing.T) {
			o := options()
			path(t, o, c[0], c[1])
			o.Sizes, o.Baselines, o.InFlight = []int{1 << 20}, []string{bench.Raw}, 3
			run := measured(t, o, bench.Bandwidth)
			if ours, raw := find(t, run, record.Sublet, 1<<20), find(t, run, bench.Raw, 1<<20); ours.Key() != raw.Key() || ours.Rate() <= 0 {
				t.Errorf("%+v, %+v", ours.Key(), raw.Key())
			}
		})
	}
}

func TestThroughput(t *testing.T) {
	o := options()
	path(t, o, "ring", "")
	o.Executors, o.Repetitions, o.InFlight, o.Baselines = 2, 1000, bench.MaxInFlight, []string{bench.Raw}
	run := measured(t, o, bench.Throughput)
	if len(run.Series) != 4 || run.Series[0].Executors != 1 || run.Series[2].Executors != 2 || run.Series[0].Operations < 2 {
		t.Fatalf("%+v", run.Series)
	}
	for i := 0; i < 4; i += 2 {
		if ours, raw := run.Series[i], run.Series[i+1]; ours.Key() != raw.Key() || raw.Name != bench.Raw || len(raw.Samples()) != len(ours.Samples()) || raw.Rate() <= 0 {
			t.Errorf("%+v with %d samples, %+v with %d", ours.Key(), len(ours.Samples()), raw.Key(), len(raw.Samples()))
		}
	}
}

// Several clients at once, each with two executors: the last one is as late as the latest.
func TestCold(t *testing.T) {
	o := options()
	path(t, o, "ring", "")
	o.Clients, o.Cores, o.Repetitions, o.Warmup = 3, 2, 2, 0
	run := measured(t, o, bench.Cold)
	times := map[string][]int64{}
	for _, s := range run.Series {
		times[s.Mode] = s.Blocks[0].Samples
	}
	total := times[record.PhaseTotal]
	if len(total) != 3 || len(times[record.PhaseLast]) != 1 || times[record.PhaseLast][0] != slices.Max(total) {
		t.Errorf("%v", times)
	}
	if slices.Min(total) < slices.Min(times[record.PhaseLease]) {
		t.Errorf("the whole is shorter than its part: %v", times)
	}
}

func TestScale(t *testing.T) {
	o := options()
	path(t, o, "ring", "")
	o.Executors, o.Repetitions = 2, 8
	run := measured(t, o, bench.Scale)
	if len(run.Series) != 6 {
		t.Errorf("%d series, not sublet, one core and threads for 1 and 2 executors", len(run.Series))
	}
}

// What can not be measured is refused, and says what to do.
func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*bench.Options)
		f      measure
		want   string
	}{
		"baseline in flight": {func(o *bench.Options) { o.InFlight, o.Baselines = 2, []string{bench.TCP} }, bench.Latency, "leave one of them out"},
		"in flight over libfabric": {func(o *bench.Options) {
			o.Transport, o.Provider, o.InFlight, o.Baselines = "ofi", "tcp", 2, []string{bench.Raw}
		}, bench.Latency, "leave --inflight out"},
		"throughput over libfabric": {func(o *bench.Options) { o.Transport, o.Provider, o.Baselines = "ofi", "tcp", []string{bench.Raw} }, bench.Throughput, "of the ring"},
		"throughput over http":      {func(o *bench.Options) { o.Baselines = []string{bench.HTTP} }, bench.Throughput, "raw only"},
		"warm bandwidth":            {func(o *bench.Options) { o.Mode = bench.Warm }, bench.Bandwidth, "--mode warm"},
		"bandwidth over http":       {func(o *bench.Options) { o.Baselines = []string{bench.HTTP} }, bench.Bandwidth, "raw only"},
		"warm throughput":           {func(o *bench.Options) { o.Mode = bench.Warm }, bench.Throughput, "--mode warm"},
		"warm scale":                {func(o *bench.Options) { o.Mode = bench.Warm }, bench.Scale, "--mode warm"},
	} {
		o := options()
		path(t, o, "ring", "")
		c.change(o)
		if _, err := c.f(within(t), o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The floor's failures are told as they are: the provider is not there.
func TestRawWithoutItsProvider(t *testing.T) {
	o := options()
	path(t, o, "ofi", "no-such-provider")
	if _, err := bench.Latency(within(t), o); err == nil || !strings.Contains(err.Error(), "no-such-provider") {
		t.Errorf("%v", err)
	}
}

// A run that is interrupted ends, says so, and keeps what it has measured.
func TestInterrupted(t *testing.T) {
	for name, f := range map[string]measure{"latency": bench.Latency, "bandwidth": bench.Bandwidth, "throughput": bench.Throughput, "scale": bench.Scale, "cold": bench.Cold} {
		o := options()
		path(t, o, "ring", "")
		o.Repetitions, o.Warmup = 1000, 0
		ctx, cancel := context.WithCancel(within(t))
		o.Progress = func(_ string, done, _ int) {
			if done == 4 { // of scale, three are blocks that are thrown away
				cancel()
			}
		}
		run, err := f(ctx, o)
		if !errors.Is(err, context.Canceled) || run == nil || len(run.Series) == 0 {
			t.Errorf("%s: %v, %+v", name, err, run)
			continue
		}
		for _, s := range run.Series {
			if n := len(s.Blocks); n < 1 || n > 4 {
				t.Errorf("%s: %d blocks of %s", name, n, s.Name)
			}
		}
		if !strings.Contains(strings.Join(run.Notes, " "), "Interrupted") {
			t.Errorf("%s: the notes are %q", name, run.Notes)
		}
	}
}

// Before there is anything, there is nothing to keep.
func TestInterruptedAtOnce(t *testing.T) {
	o := options()
	path(t, o, "ring", "")
	ctx, cancel := context.WithCancel(within(t))
	o.Progress = func(string, int, int) { cancel() } // after the first block, which is thrown away
	if run, err := bench.Latency(ctx, o); !errors.Is(err, context.Canceled) || run == nil || len(run.Series) != 0 {
		t.Errorf("%v, %+v", err, run)
	}
}

// The files that libfabric's shm makes are gone when a run has ended.
func TestNothingLeftInSharedMemory(t *testing.T) {
	o := options()
	path(t, o, "ofi", "shm")
	o.Baselines = []string{bench.Raw}
	measured(t, o, bench.Latency)
	if _, err := os.Stat("/dev/shm"); err != nil {
		t.Fatal(err) // then this test would look at nothing
	}
	// Those of other tests come and go.
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		left, err := filepath.Glob("/dev/shm/*sublet-floor-*")
		if err != nil {
			t.Fatal(err)
		}
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("left in shared memory: %q", left)
		}
	}
}
