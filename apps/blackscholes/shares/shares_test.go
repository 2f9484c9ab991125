package shares

import (
	"fmt"
	"testing"
	"time"

	"github.com/sublet-hpc/sublet/internal/endurance"
	"github.com/sublet-hpc/sublet/internal/hosts"
	"github.com/sublet-hpc/sublet/offload"
)

// Auto is not slower than the better of nothing and half offloaded by more than 3 %, or 1 ms: interleaved medians.
func TestEnduranceShares(t *testing.T) {
	many := endurance.Count(100_000, 10_000_000)
	for _, c := range []struct {
		name    string
		options int
		far     bool                              // the executor is on another host, 5 ms away
		hinder  func(t *testing.T, pid int) error // the executor; nil: not
	}{
		{name: "a short step", options: 1000},
		{name: "a long step", options: many},
		{name: "the executor is stopped for 1.5 of each 2 ms", options: many, hinder: stopThreeQuarters},
		{name: "the executor's control group has a quarter of its core", options: many, hinder: allowQuarter},
		{name: "the network to the executor takes 5 ms", options: many / 10, far: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			var s *offload.Session
			if c.far {
				s = there(t, 5*time.Millisecond)
			} else {
				s = here(t)
			}
			l := lease(t, s)
			b := newBook(t, s, c.options)
			ways := []*way{newWay(t, s, l, b, 0), newWay(t, s, l, b, 0.5), newWay(t, s, l, b, offload.Auto)}
			if c.hinder != nil {
				if err := c.hinder(t, l.Executors()[0].PID()); err != nil {
					endurance.Report(t, "NOT done: %v", err)
					return
				}
			}
			takeTurns(t, b, ways, endurance.Count(2*each, 5*each), time.Duration(endurance.Count(0, 10))*time.Second)

			none, half, auto := ways[0], ways[1], ways[2]
			better := min(none.median(), half.median())
			endurance.Report(t, "| %d options, %s | %s | %s | %s | %.1f %% | %d steps", c.options, l.Executors()[0].Path().Transport,
				inMilliseconds(none.median()), inMilliseconds(half.median()), inMilliseconds(auto.median()), 100*auto.share(), len(auto.times))
			if bar := max(better+better*3/100, better+time.Millisecond); endurance.InFull() && auto.median() > bar {
				t.Errorf("auto takes %v, the better of nothing and half offloaded %v; it may take %v", auto.median(), better, bar)
			}
		})
	}
}

// there is a session that leases from another host, to which and from which all takes so long.
func there(t *testing.T, delay time.Duration) *offload.Session {
	t.Helper()
	h := hosts.New(t)
	endurance.Report(t, "the network is delayed by %s", h.Delay(t, delay))
	c := hosts.NewCluster(t, bin)
	c.Lend(t, h, "--cores", "1")
	return connect(t)
}

func inMilliseconds(d time.Duration) string { return fmt.Sprintf("%.3g", 1e3*d.Seconds()) }
