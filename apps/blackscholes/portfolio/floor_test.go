package portfolio

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
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

func TestRatiosX(t *testing.T) {
	n := 1_000_000
	program := floor(t)
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in.txt"), filepath.Join(dir, "out.txt")
	text := AppendGenerated(AppendCount(nil, int64(n)), 0, n, 1)
	if err := os.WriteFile(in, text, 0o600); err != nil {
		t.Fatal(err)
	}
	blocks, prices := make([]Block[float32], 65536/Lanes), make([]float32, n+Lanes)
	blocks2 := make([]Block[float32], Blocks(n))
	Generate(blocks2, prices, 0, n, 1)
	prices = prices[:n]
	raw := filepath.Join(dir, "raw")
	if err := os.WriteFile(raw, bytesOf(prices), 0o600); err != nil {
		t.Fatal(err)
	}
	reference := make([]float32, 65536)
	for range 3 {
		c := seconds(t, program, "scan", in)
		for _, columns := range []Columns{Inputs, WithReference} {
			began := time.Now()
			f, err := Open(in, columns)
			if err != nil {
				t.Fatal(err)
			}
			r, err := NewReader[float32](f, 0, 1)
			if err != nil {
				t.Fatal(err)
			}
			for err == nil {
				_, err = r.Read(blocks, reference)
			}
			if !errors.Is(err, io.EOF) {
				t.Fatal(err)
			}
			f.Close()
			s := time.Since(began).Seconds()
			t.Logf("read %.1f ns, C %.1f: %.2f", 1e9*s/float64(n), 1e9*c/float64(n), c/s)
		}
		c = seconds(t, program, "print", raw, out)
		began := time.Now()
		file, err := os.Create(out + "2")
		if err != nil {
			t.Fatal(err)
		}
		buf := AppendCount(nil, int64(n))
		for at := 0; at < n; at += 8192 {
			buf = AppendPrices(buf, prices[at:min(at+8192, n)])
			file.Write(buf)
			buf = buf[:0]
		}
		file.Close()
		s := time.Since(began).Seconds()
		t.Logf("write %.1f ns, C %.1f: %.2f", 1e9*s/float64(n), 1e9*c/float64(n), c/s)
	}
	a, _ := os.ReadFile(out)
	b, _ := os.ReadFile(out + "2")
	if !bytes.Equal(a, b) {
		t.Error("differ")
	}
}
