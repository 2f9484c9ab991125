package endurance

import (
	"strings"
	"testing"
	"time"
)

// failing notes that a test has failed.
type failing struct {
	testing.TB
	failed bool
}

func (f *failing) Helper()               {}
func (f *failing) Name() string          { return "failing" }
func (f *failing) Logf(string, ...any)   {}
func (f *failing) Errorf(string, ...any) { f.failed = true }

// times are of a quiet machine, but for those of which the host took a part, which are negative.
func times(took ...time.Duration) *Times {
	t := &Times{}
	for _, one := range took {
		t.took, t.robbed = append(t.took, one.Abs()), append(t.robbed, one < 0)
	}
	return t
}

func TestBars(t *testing.T) {
	const s = time.Second
	for _, c := range []struct {
		full                 string
		times                *Times
		bar                  time.Duration
		within, medianWithin bool
	}{
		{"", times(3*s, s, 5*s), s / 2, true, true},
		{"", times(3*s, s, 5*s), s/2 - 1, false, true},
		{"", times(3*s, s, 5*s), s * 3 / 10, false, true},
		{"", times(3*s, s, 5*s), s*3/10 - 1, false, false},
		{"1", times(3*s, s, 5*s), 5 * s, true, true},
		{"1", times(3*s, s, 5*s), 5*s - 1, false, true},
		{"1", times(3*s, s, 5*s), 3*s - 1, false, false},
		// What the host took a part of may take ten times as long, and no longer.
		{"1", times(3*s, s, -20*s), 3 * s, true, true},
		{"1", times(3*s, s, -31*s), 3 * s, false, true},
		{"1", times(3*s, s, -20*s), 3*s - 1, false, false},
		// Where it took nearly all, the others say nothing.
		{"1", times(3*s, -20*s, -20*s, -20*s, -20*s), 2 * s, true, true},
		{"1", times(3*s, -20*s, -20*s, -20*s, -21*s), 2 * s, false, true},
	} {
		t.Setenv(Variable, c.full)
		var within, medianWithin failing
		c.times.Within(&within, c.bar)
		c.times.MedianWithin(&medianWithin, c.bar)
		if within.failed == c.within || medianWithin.failed == c.medianWithin {
			t.Errorf("%q, bar %v, %v: all within %v, half %v", c.full, c.bar, c.times, !within.failed, !medianWithin.failed)
		}
	}
}

func TestOneInFiftyMayTakeTwiceAsLong(t *testing.T) {
	t.Setenv(Variable, "1")
	took := make([]time.Duration, 50)
	for longest, fails := range map[time.Duration]bool{2 * time.Second: false, 2*time.Second + 1: true} {
		took[7] = longest
		var f failing
		times(took...).Within(&f, time.Second)
		if f.failed != fails {
			t.Errorf("one of %v among 50: fails %v", longest, f.failed)
		}
	}
}

func TestFigures(t *testing.T) {
	all := times(3*time.Second, time.Second, 5*time.Second)
	if all.Len() != 3 || all.Median() != 3*time.Second || all.Worst() != 5*time.Second || all.String() != "median 3s, worst 5s of 3" {
		t.Error(all)
	}
	some := times(3*time.Second, -5*time.Second).String()
	if !strings.HasPrefix(some, "median 5s, worst 5s of 2;") || !strings.HasSuffix(some, "during 1, of the others median 3s, worst 3s of 1") {
		t.Error(some)
	}
}

// On a machine that nobody shares nothing is taken; on no machine more than there is.
func TestStolen(t *testing.T) {
	var m machine
	if first := m.stolenSince(); first != 0 || m.at.IsZero() {
		t.Errorf("%v was stolen before anyone looked: %+v", first, m)
	}
	m.at = m.at.Add(-time.Second)
	if again := m.stolenSince(); again < 0 || again > 1 {
		t.Errorf("%v of the machine's time was stolen", again)
	}
}
