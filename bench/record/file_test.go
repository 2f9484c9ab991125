package record_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/sublet-hpc/sublet/bench/record"
)

func example(samples int) *record.Run {
	random := rand.New(rand.NewPCG(1, 2))
	s := &record.Series{Kind: record.Latency, Name: record.Sublet, Mode: "hot", Transport: "ring", Provider: "memfd", Bytes: 8, Touched: true, InFlight: 1, Executors: 1, Clients: 1, Operations: 1}
	for len(s.Samples()) < samples {
		b := record.Block{}
		for range samples / 8 {
			ns := 500 + int64(30*random.NormFloat64())
			if random.IntN(100) == 0 {
				ns += random.Int64N(20_000)
			}
			b.Samples = append(b.Samples, max(ns, 1))
			b.Elapsed += ns
		}
		s.Blocks = append(s.Blocks, b)
	}
	return &record.Run{
		Command: []string{"sublet-bench", "latency"}, Began: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Seconds: 1.5,
		Machine: record.Machine{Host: "n1", Processor: "CPU", Cores: 2, CPUs: 4, Kernel: "6.1", System: "Debian", Virtual: true},
		Client:  []int{0}, Bound: true, Executors: []record.Executor{{Node: "n1", Core: 1}}, Notes: []string{"Nothing."},
		Series: []*record.Series{s},
	}
}

// Nothing is lost on the way to a file and back, and 200,000 samples stay small.
func TestFile(t *testing.T) {
	want := example(200_000)
	path := filepath.Join(t.TempDir(), "a.bench")
	if err := want.Save(path); err != nil {
		t.Fatal(err)
	}
	got, err := record.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%.2000s", diff)
	}
	info, err := os.Stat(path)
	if err != nil || info.Size() > 2*200_000 {
		t.Errorf("200000 samples take %d bytes; %v", info.Size(), err)
	}
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 1 {
		t.Errorf("beside the file there is something: %v, %v", entries, err)
	}
}

// What is no record, or half of one, is an error and never a table.
func TestReadRefuses(t *testing.T) {
	var whole bytes.Buffer
	if err := example(80).Write(&whole); err != nil {
		t.Fatal(err)
	}
	cut := whole.Bytes()[:whole.Len()-40]
	empty := example(80)
	empty.Series[0].Blocks[0].Samples = nil
	var hollow bytes.Buffer
	if err := empty.Write(&hollow); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"text": []byte("hello"), "nothing": nil, "cut": cut, "no samples": hollow.Bytes()} {
		if _, err := record.Read(bytes.NewReader(content)); err == nil {
			t.Errorf("%s was read", name)
		}
	}
	if _, err := record.Load(filepath.Join(t.TempDir(), "gone")); err == nil || !strings.Contains(err.Error(), "gone") {
		t.Errorf("%v", err)
	}
}

func TestValues(t *testing.T) {
	s := &record.Series{Kind: record.Latency, Operations: 1, Blocks: []record.Block{{Elapsed: 30, Samples: []int64{3, 1, 2}}, {Elapsed: 20, Samples: []int64{4, 1, 2, 9}}}}
	if diff := cmp.Diff([]float64{2, 3}, s.Values()); diff != "" {
		t.Errorf("latency: %s", diff)
	}
	s.Kind, s.Operations = record.Throughput, 10
	if diff := cmp.Diff([]float64{1e9, 2e9}, s.Values()); diff != "" {
		t.Errorf("throughput: %s", diff)
	}
	if rate := s.Rate(); rate != 1.4e9 {
		t.Errorf("rate %v", rate)
	}
}

// A place that can not be written to is found out before there is anything to write, and what is no file is
// not replaced.
func TestDraftRefuses(t *testing.T) {
	dir := t.TempDir()
	for path, want := range map[string]string{
		dir: "is no file", "/dev/null": "is no file", filepath.Join(dir, "gone", "a"): "no such file", "/proc/a": "/proc",
	} {
		if _, err := record.NewDraft(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// A full disk: the error says so, an older file stays as it was, and nothing is left beside it. A limit of the
// size of files stands for it.
func TestSaveOnAFullDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.bench")
	if err := example(80).Save(path); err != nil {
		t.Fatal(err)
	}
	signal.Ignore(unix.SIGXFSZ) // else the limit ends the process
	defer signal.Reset(unix.SIGXFSZ)
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 4096, Max: before.Max}); err != nil {
		t.Fatal(err)
	}
	err := example(200_000).Save(path)
	if failed := unix.Setrlimit(unix.RLIMIT_FSIZE, &before); failed != nil {
		t.Fatal(failed)
	}
	if !errors.Is(err, unix.EFBIG) || !strings.Contains(err.Error(), path) {
		t.Errorf("%v", err)
	}
	if run, err := record.Load(path); err != nil || len(run.Series[0].Samples()) != 80 {
		t.Errorf("the older file: %v", err)
	}
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 1 {
		t.Errorf("beside the file there is something: %v, %v", entries, err)
	}
}
