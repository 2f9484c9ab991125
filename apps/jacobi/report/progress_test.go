package report

import (
	"bytes"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestProgressLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		p := NewProgress(&b, false, "all local", 1e-10, 0)
		residual := 1.0
		for iteration := 1; iteration <= 100; iteration++ {
			time.Sleep(200 * time.Millisecond)
			p.Iterated(iteration, residual)
			residual /= 10
			if residual < 1e-10 {
				residual = 1e-10
			}
		}
		p.Close()
		lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
		if len(lines) != 4 {
			t.Fatalf("20 seconds gave %d lines:\n%s", len(lines), &b)
		}
		if want := "jacobi: all local: iteration 25, residual 1e-10, 100 %"; lines[0] != want {
			t.Errorf("%q, want %q", lines[0], want)
		}
	})
}

func TestProgressBar(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		p := NewProgress(&b, true, "half offloaded", 0, 10)
		for iteration := 1; iteration <= 10; iteration++ {
			time.Sleep(time.Second)
			p.Iterated(iteration, 1)
		}
		p.Close()
		if out := b.String(); strings.Contains(out, "\n") || !strings.Contains(out, "half offloaded") || !strings.Contains(out, "90%") {
			t.Errorf("%q", out)
		}
	})
}

func TestProgressOfTheWay(t *testing.T) {
	toTolerance := &Progress{tolerance: 1e-10, first: 1}
	for residual, want := range map[float64]float64{1: 0, 1e-5: 0.5, 1e-10: 1, 1e-12: 1, 5: 0, math.Inf(1): 0} {
		if got := toTolerance.done(3, residual); math.Abs(got-want) > 1e-12 {
			t.Errorf("residual %g: %v, want %v", residual, got, want)
		}
	}
	if got := (&Progress{exactly: 8}).done(2, math.Inf(1)); got != 0.25 {
		t.Errorf("2 of 8 iterations: %v", got)
	}
	var none *Progress
	none.Iterated(1, 1)
	none.Close()
}

// Files that are read quickly are not worth a word.
func TestReading(t *testing.T) {
	for _, terminal := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			var b bytes.Buffer
			r := NewReading(&b, terminal)
			r.Read("A.mtx", 10, 100)
			if b.Len() > 0 {
				t.Errorf("at once: %q", &b)
			}
			time.Sleep(5 * time.Second)
			r.Read("A.mtx", 0, 0) // a pipe has no size
			r.Read("A.mtx", 64, 256)
			if !strings.Contains(b.String(), "reading A.mtx") || !strings.Contains(b.String(), "25") {
				t.Errorf("terminal %v: %q", terminal, &b)
			}
			time.Sleep(5 * time.Second)
			r.Read("b.mtx", 2, 1)
			r.Close()
		})
	}
}
