package portfolio

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sublet-hpc/sublet/internal/endurance"
)

// floor compiles testdata/floor.c.
func floor(t testing.TB) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "floor")
	if out, err := exec.Command("cc", "-O2", "-Wall", "-Wextra", "-Werror", "-o", program, "testdata/floor.c").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return program
}

// seconds runs the program, which prints how many it took.
func seconds(t testing.TB, program string, arguments ...string) float64 {
	t.Helper()
	out, err := exec.Command(program, arguments...).Output()
	if err != nil {
		t.Fatalf("%v: %v", arguments, err)
	}
	s, err := strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// readSeconds is how long one goroutine takes to read a file.
func readSeconds(t testing.TB, path string, columns Columns) float64 {
	t.Helper()
	blocks, reference := make([]Block[float32], 4096), make([]float32, 4096*Lanes)
	began := time.Now()
	f, err := Open(path, columns)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := NewReader[float32](f, 0, 1)
	for err == nil {
		_, err = r.Read(blocks, reference)
	}
	if !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	return time.Since(began).Seconds()
}

// writeSeconds is how long one goroutine takes to write prices.
func writeSeconds(t testing.TB, path string, prices []float32) float64 {
	t.Helper()
	began := time.Now()
	out, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	text := AppendCount(nil, int64(len(prices)))
	for len(prices) > 0 {
		n := min(len(prices), 1<<14)
		text = AppendPrices(text, prices[:n])
		prices = prices[n:]
		if _, err := out.Write(text); err != nil {
			t.Fatal(err)
		}
		text = text[:0]
	}
	if err := out.Commit(); err != nil {
		t.Fatal(err)
	}
	return time.Since(began).Seconds()
}

// TestEnduranceText compares one core's reading and writing of PARSEC's text with what fscanf and fprintf
// take, in turns. It has to be five times as fast.
func TestEnduranceText(t *testing.T) {
	n := endurance.Count(100_000, 2_000_000)
	program, dir := floor(t), t.TempDir()
	in, raw := filepath.Join(dir, "in.txt"), filepath.Join(dir, "raw")
	theirs, ours := filepath.Join(dir, "theirs.txt"), filepath.Join(dir, "ours.txt")
	if err := WriteGenerated(in, Generated{Count: int64(n), Seed: 1}, nil); err != nil {
		t.Fatal(err)
	}
	prices := make([]float32, Blocks(n)*Lanes)
	Generate(make([]Block[float32], Blocks(n)), prices, 0, n, 1)
	if err := os.WriteFile(raw, bytesOf(prices[:n]), 0o600); err != nil {
		t.Fatal(err)
	}
	kinds := []struct {
		name    string
		c, mine func() float64
	}{
		{"reading", func() float64 { return seconds(t, program, "scan", in) }, func() float64 { return readSeconds(t, in, Inputs) }},
		{"reading with references", func() float64 { return seconds(t, program, "scan", in) }, func() float64 { return readSeconds(t, in, WithReference) }},
		{"writing", func() float64 { return seconds(t, program, "print", raw, theirs) }, func() float64 { return writeSeconds(t, ours, prices[:n]) }},
	}
	var line []string
	for _, kind := range kinds {
		var c, mine []float64
		for range endurance.Count(1, 5) {
			c, mine = append(c, kind.c()), append(mine, kind.mine())
		}
		slices.Sort(c)
		slices.Sort(mine)
		a, b := c[len(c)/2], mine[len(mine)/2]
		line = append(line, fmt.Sprintf("%s %.0f ns an option, in C %.0f: %.1f times as fast", kind.name, 1e9*b/float64(n), 1e9*a/float64(n), a/b))
		if endurance.InFull() && a < 5*b {
			t.Errorf("%s is %.1f times as fast as in C; at least 5 is expected", kind.name, a/b)
		}
	}
	endurance.Report(t, "%d options on one core: %s", n, strings.Join(line, "; "))
	a, err := os.ReadFile(theirs)
	b, err2 := os.ReadFile(ours)
	if err := errors.Join(err, err2); err != nil || !bytes.Equal(a, b) {
		t.Errorf("the files are not the same: %v", err)
	}
}

func BenchmarkRead(b *testing.B) {
	const n = 100_000
	content := AppendGenerated(AppendCount(nil, n), 0, n, 1)
	blocks := make([]Block[float32], 1024)
	b.SetBytes(int64(len(content)))
	b.ReportAllocs()
	for b.Loop() {
		f, err := memory(content, Inputs)
		if err != nil {
			b.Fatal(err)
		}
		r, err := NewReader[float32](f, 0, 1)
		for err == nil {
			_, err = r.Read(blocks, nil)
		}
		if !errors.Is(err, io.EOF) {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/option")
}

func BenchmarkAppendPrices(b *testing.B) {
	const n = 100_000
	prices := make([]float32, Blocks(n)*Lanes)
	Generate(make([]Block[float32], Blocks(n)), prices, 0, n, 1)
	var text []byte
	b.ReportAllocs()
	for b.Loop() {
		text = AppendPrices(text[:0], prices[:n])
	}
	b.SetBytes(int64(len(text)))
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/price")
}

func BenchmarkAppendGenerated(b *testing.B) {
	const n = 100_000
	var text []byte
	for b.Loop() {
		text = AppendGenerated(text[:0], 0, n, 1)
	}
	b.SetBytes(int64(len(text)))
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/option")
}
