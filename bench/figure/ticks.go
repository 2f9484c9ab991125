package figure

import (
	"fmt"
	"math"

	"gonum.org/v1/plot"

	"github.com/sublet-hpc/sublet/bench/report"
)

// sizeTicks are at powers of two, at most eight with a label.
type sizeTicks struct{}

// Ticks implements plot.Ticker.
func (sizeTicks) Ticks(lo, hi float64) []plot.Tick {
	first, last := int(math.Ceil(math.Log2(lo))), int(math.Floor(math.Log2(hi)))
	every := max(1, (last-first+7)/8)
	var ticks []plot.Tick
	for e := max(first, 0); e <= last; e++ {
		tick := plot.Tick{Value: math.Pow(2, float64(e))}
		if e%every == 0 {
			tick.Label = report.Size(1 << e)
		}
		ticks = append(ticks, tick)
	}
	return ticks
}

// timeTicks are at each digit times powers of ten. Labels have the powers, and where these are few, 2 and 5
// times them as well.
type timeTicks struct{}

// Ticks implements plot.Ticker.
func (timeTicks) Ticks(lo, hi float64) []plot.Tick {
	few := math.Log10(hi/lo) < 3
	var ticks []plot.Tick
	for e := math.Floor(math.Log10(lo)); e <= math.Log10(hi); e++ {
		for digit := 1.0; digit < 10; digit++ {
			value := digit * math.Pow(10, e)
			if value < lo || value > hi {
				continue
			}
			tick := plot.Tick{Value: value}
			if digit == 1 || few && (digit == 2 || digit == 5) {
				tick.Label = roundTime(value)
			}
			ticks = append(ticks, tick)
		}
	}
	return ticks
}

// roundTime writes nanoseconds that have one digit.
func roundTime(ns float64) string {
	for _, unit := range []struct {
		size float64
		name string
	}{{1e9, "s"}, {1e6, "ms"}, {1e3, "µs"}} {
		if ns >= 0.9999*unit.size {
			return fmt.Sprintf("%.0f %s", ns/unit.size, unit.name)
		}
	}
	return fmt.Sprintf("%.3g ns", ns)
}
