package outcome

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestTable(t *testing.T) {
	transport, provider := "ofi-write", "tcp"
	table := NewTable()
	table.Reached(&transport, &provider)
	table.Reached(nil, nil)
	table.Line("", "%s, %s", Count(1, "rank"), Count(2, "executor"))
	var b strings.Builder
	if err := table.Write(&b); err != nil {
		t.Fatal(err)
	}
	want := "transport   ofi-write, provider tcp\ntransport   none: no executors\n            1 rank, 2 executors\n"
	if b.String() != want {
		t.Errorf("%s\nwant\n%s", &b, want)
	}
}

// Different names are all told, each once.
func TestNames(t *testing.T) {
	name := func(s string) string { return s }
	if got := Names([]string{"ring", "ofi-write", "ring"}, name); got == nil || *got != "ofi-write+ring" {
		t.Errorf("%v", got)
	}
	if got := Names(nil, name); got != nil {
		t.Errorf("of none: %q", *got)
	}
}

func TestPace(t *testing.T) {
	for terminal, want := range map[bool]int{false: 2, true: 100} {
		synctest.Test(t, func(t *testing.T) {
			pace, due := NewPace(terminal), 0
			for range 1000 {
				time.Sleep(10 * time.Millisecond)
				if pace.Due() {
					due++
				}
			}
			if due != want {
				t.Errorf("terminal %v: shown %d times in 10 seconds, want %d", terminal, due, want)
			}
		})
	}
}
