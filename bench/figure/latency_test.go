package figure_test

import (
	"bytes"
	"errors"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/sublet-hpc/sublet/bench/figure"
	"github.com/sublet-hpc/sublet/bench/record"
)

func run(name string, sizes ...int) *record.Run {
	r := &record.Run{}
	for _, size := range sizes {
		r.Series = append(r.Series, &record.Series{
			Kind: record.Latency, Name: name, Mode: "hot", Transport: "ring", Provider: "memfd", Bytes: size, Touched: true,
			InFlight: 1, Operations: 1, Blocks: []record.Block{{Elapsed: 1, Samples: slices.Repeat([]int64{300 + int64(size)}, 1000)}},
		})
	}
	return r
}

// Two files give an SVG that names both, and a PNG of the right shape.
func TestLatency(t *testing.T) {
	p, err := figure.Latency("a machine", []figure.Input{{Label: "old", Run: run(record.Sublet, 1, 64, 4096, 4<<20)}, {Label: "new", Run: run(record.Sublet, 8)}})
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	for _, name := range []string{"f.svg", "f.png"} {
		if err := p.Save(filepath.Join(folder, name)); err != nil {
			t.Fatal(err)
		}
	}
	svg, err := os.ReadFile(filepath.Join(folder, "f.svg"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"<svg", "a machine", "old: sublet, ring", "new: sublet, ring", "2 MiB", "1 µs", "median", "99th percentile"} {
		if !bytes.Contains(svg, []byte(want)) {
			t.Errorf("no %q in the SVG", want)
		}
	}
	file, err := os.Open(filepath.Join(folder, "f.png"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	picture, err := png.Decode(file)
	if err != nil {
		t.Fatal(err)
	}
	if size := picture.Bounds().Size(); size.X <= size.Y || size.X < 600 {
		t.Errorf("the PNG is %v", size)
	}
}

// Names that tell curves apart are short where nothing else is possible.
func TestLabels(t *testing.T) {
	r := &record.Run{}
	for _, s := range []record.Series{
		{Name: record.Sublet, Transport: "ring", Provider: "memfd"},
		{Name: record.Sublet, Transport: "ofi-write", Provider: "tcp"},
		{Name: "tcp", Transport: "tcp", Provider: "loopback"},
		{Name: "mpi", Transport: "mpi", Provider: "Open MPI v4.1.4"},
		{Name: "raw", Transport: "libfabric write", Provider: "shm"},
	} {
		s.Kind, s.Mode, s.Bytes, s.Touched, s.InFlight, s.Blocks = record.Latency, "hot", 8, true, 1, []record.Block{{Elapsed: 1, Samples: []int64{1}}}
		r.Series = append(r.Series, &s)
	}
	p, err := figure.Latency("", []figure.Input{{Label: "a", Run: r}})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "f.svg")
	if err := p.Save(path); err != nil {
		t.Fatal(err)
	}
	svg, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{">sublet, ring<", ">sublet, ofi-write (tcp)<", ">tcp, loopback<", ">mpi, Open MPI v4.1.4<", ">raw, libfabric write (shm)<"} {
		if !bytes.Contains(svg, []byte(want)) {
			t.Errorf("no %q in the SVG", want)
		}
	}
	if bytes.Contains(svg, []byte("99th")) {
		t.Error("a 99th percentile is explained, and there is none")
	}
}

func TestNothingToDraw(t *testing.T) {
	if _, err := figure.Latency("", []figure.Input{{Label: "a", Run: run(record.Sublet, 0)}}); !errors.Is(err, figure.ErrNothing) {
		t.Errorf("%v", err)
	}
}
