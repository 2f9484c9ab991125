package endurance_test

import (
	"testing"
	"time"

	"github.com/sublet-hpc/sublet/internal/endurance"
)

// failing notes that a test has failed.
type failing struct {
	testing.TB
	failed bool
}

func (f *failing) Helper()               {}
func (f *failing) Errorf(string, ...any) { f.failed = true }

func TestBars(t *testing.T) {
	times := endurance.Times{3 * time.Second, time.Second, 5 * time.Second}
	if times.Median() != 3*time.Second || times.Worst() != 5*time.Second || times.String() != "median 3s, worst 5s of 3" {
		t.Error(times)
	}
	for _, c := range []struct {
		full string
		bar  time.Duration
		few  int
		fail bool
	}{
		{"", 500 * time.Millisecond, 1, false},
		{"", 499 * time.Millisecond, 1, true},
		{"1", 5 * time.Second, 100, false},
		{"1", 4999 * time.Millisecond, 100, true},
	} {
		t.Setenv(endurance.Variable, c.full)
		var f failing
		times.Within(&f, c.bar)
		if f.failed != c.fail || endurance.Count(1, 100) != c.few {
			t.Errorf("%+v: failed %v, %d times", c, f.failed, endurance.Count(1, 100))
		}
	}
}
