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
		if err := p.Save(figure.Width, figure.Height, filepath.Join(folder, name)); err != nil {
			t.Fatal(err)
		}
	}
	svg, err := os.ReadFile(filepath.Join(folder, "f.svg"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"<svg", "a machine", "old: sublet, ring (memfd)", "new: sublet, ring (memfd)", "4 MiB", "1.00 µs"} {
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

func TestNothingToDraw(t *testing.T) {
	if _, err := figure.Latency("", []figure.Input{{Label: "a", Run: run(record.Sublet, 0)}}); !errors.Is(err, figure.ErrNothing) {
		t.Errorf("%v", err)
	}
}
