package offload

import (
	"testing"

	"pgregory.net/rapid"
)

// Offloading that costs is turned off within a few steps, tried again after longer and longer, and turned on when it pays;
// one that pays is not turned off by a step that was disturbed now and then.
func TestWorth(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var w worth
		w.alone.add(1)
		pays := rapid.Bool().Draw(t, "pays")
		for step := range 500 {
			seconds := rapid.Float64Range(0.5, 0.9).Draw(t, "seconds")
			if !pays {
				seconds += 0.55
			} else if step%window == 7 {
				seconds = 100
			}
			if off := w.judge(1, seconds, false); off != w.off {
				t.Fatal("it was turned off, and is not")
			}
			if w.off && (pays || step < judged-1) {
				t.Fatalf("off after step %d", step)
			}
			if w.off {
				break
			}
		}
		if pays {
			return
		}
		if !w.off {
			t.Fatal("not turned off")
		}
		for last := 0; last < lastPause; {
			rest := 0
			for !w.trial() {
				rest++
			}
			if rest < last {
				t.Fatalf("tried again after %d steps, before after %d", rest, last)
			}
			last = rest
			w.tried(1, 0.99)
		}
		if w.tried(1, 0.5); w.off {
			t.Fatal("it would pay, and is off")
		}
	})
}

// The median of three is what counts, so that one measurement that is far off changes little.
func TestSmooth(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s smooth
		value := rapid.Float64Range(1e-9, 1e3).Draw(t, "value")
		for range 3 {
			s.add(value)
		}
		s.add(rapid.Float64Range(0, 1e9).Draw(t, "outlier"))
		if s.value != value {
			t.Fatalf("%g after an outlier, %g before", s.value, value)
		}
		other := rapid.Float64Range(1e-9, 1e3).Draw(t, "other")
		for range 5 {
			s.add(other)
		}
		if low, high := min(other, value), max(other, value); s.value < low || s.value > high || abs(s.value-other) > abs(value-other)/8 {
			t.Fatalf("%g after five of %g, from %g", s.value, other, value)
		}
	})
}

func abs(x float64) float64 { return max(x, -x) }

// A lease is asked for when as much has been spent, or is known to come, as it costs.
func TestPaysLease(t *testing.T) {
	for _, c := range []struct {
		spent, toCome, cost float64
		pays                bool
	}{{0, 1e-3, 0.03, false}, {0.02, 0.02, 0.03, true}, {1, 0, 0.03, true}} {
		if paysLease(c.spent, c.toCome, c.cost) != c.pays {
			t.Errorf("%+v", c)
		}
	}
}
