package main

import (
	"slices"
	"strconv"
	"testing"

	"github.com/sublet-hpc/sublet/internal/endurance"
)

// What an executor on the second of two cores gains, the ways to price taking turns: with half of the options it is nearly
// twice as fast as one rank alone, and as fast as a second rank would be; and auto is as fast as the better of nothing
// and half.
func TestEnduranceSpeed(t *testing.T) {
	host := endurance.WatchHost()
	for _, options := range []int{1000, endurance.Count(100_000, 10_000_000)} {
		ways := []struct {
			name  string
			ranks int
			share string
			times []float64
		}{{"one rank alone", 1, "0", nil}, {"one rank, half offloaded", 1, "50", nil}, {"two ranks alone", 2, "0", nil}, {"one rank, auto", 1, "auto", nil}}
		for range endurance.Count(1, 9) {
			for i := range ways {
				r := price(t, ways[i].ranks, nil, "--size", strconv.Itoa(options), "--offload", ways[i].share, "--repeat", "15")
				ways[i].times = append(ways[i].times, r.Seconds)
			}
		}
		medians := make([]float64, len(ways))
		for i := range ways {
			slices.Sort(ways[i].times)
			medians[i] = ways[i].times[len(ways[i].times)/2]
			endurance.Report(t, "%d options, %s: %.3g ms, %.2f times as fast as one rank alone", options, ways[i].name, 1e3*medians[i], medians[0]/medians[i])
		}
		noise := host.Noise()
		if auto, best := medians[3], min(medians[0], medians[1]); auto > max(1.03*best, best+1e-3)*(1+noise) {
			t.Errorf("%d options: auto takes %.3g s, the better of nothing and half %.3g s", options, auto, best)
		}
		if options < 1_000_000 {
			continue
		}
		// Where two virtual processors are threads of one core, two ranks gain less, and so does an executor.
		half, two := medians[0]/medians[1], medians[0]/medians[2]
		endurance.Report(t, "half offloaded is %.2f times as fast as one rank alone (promised: 1.75), and %.2f times as fast as two ranks (0.95)", half, half/two)
		if half < min(1.75, 0.95*two)/(1+noise) {
			t.Errorf("half offloaded is %.2f times as fast as one rank alone, and two ranks are %.2f times", half, two)
		}
	}
}
