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
		what    string
		options int
		delay   time.Duration                     // of the network to the executor; 0: it is on this host
		hinder  func(t *testing.T, pid int) error // the executor; nil: not
	}{
		{name: "short", what: "no hindrance", options: 1000},
		{name: "long", what: "no hindrance", options: many},
		{name: "stopped", what: "the executor stopped for 1.5 of each 2 ms", options: many, hinder: stopThreeQuarters},
		{name: "throttled", what: "the executor's control group has 1 of each 4 ms", options: many, hinder: allowQuarter},
		{name: "far", what: "the executor 5 ms away", options: many / 10, delay: 5 * time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			var s *offload.Session
			if c.delay > 0 {
				s = there(t, c.delay)
			} else {
				s = here(t)
			}
			l := lease(t, s)
			b := newBook(t, s, c.options)
			host := endurance.WatchHost()
			ways := []*way{newWay(t, s, l, b, 0), newWay(t, s, l, b, 0.5), newWay(t, s, l, b, offload.Auto)}
			if c.hinder != nil {
				if err := c.hinder(t, l.Executors()[0].PID()); err != nil {
					endurance.Report(t, "NOT done: %v", err)
					return
				}
			}
			takeTurns(t, b, ways, endurance.Count(2*each, 3*each), time.Duration(endurance.Count(0, 14))*time.Second)

			none, half, auto := ways[0], ways[1], ways[2]
			better := min(none.median(), half.median())
			endurance.Report(t, "| %d options, %s | %s | %s | %s | %.0f %% | in ms, and what auto offloads; medians of %d", c.options, c.what,
				inMilliseconds(none.median()), inMilliseconds(half.median()), inMilliseconds(auto.median()), 100*auto.share(), len(auto.times))
			bar := max(better+better*3/100, better+time.Millisecond)
			if auto.median() > bar {
				endurance.Report(t, "%s: MISSED: auto takes %v, the better of nothing and half offloaded %v; promised is %v", c.name, auto.median(), better, bar)
			}
			if float64(auto.median()) > float64(bar)*(1+host.Noise()) {
				t.Errorf("auto takes %v, the better of nothing and half offloaded %v; promised is %v", auto.median(), better, bar)
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
