package pricing

import (
	"math"

	"github.com/sublet-hpc/sublet/apps/blackscholes/portfolio"
)

// ErrorBound is the largest error of Vector and Go, and the largest difference between the two, as a part of
// S + K exp(-rT), where |rT| is at most 1; above that it grows with |rT|.
func ErrorBound[T portfolio.Float]() float64 {
	if isDouble[T]() {
		return 1.5e-15
	}
	return 6e-7
}

func priceGo[T portfolio.Float](blocks []portfolio.Block[T], prices []T) {
	for i := range blocks {
		b := &blocks[i]
		out := prices[i*portfolio.Lanes:][:portfolio.Lanes]
		for k := range out {
			out[k] = T(formula(float64(b.Spot[k]), float64(b.Strike[k]), float64(b.Rate[k]), float64(b.Volatility[k]), float64(b.Time[k]), b.Put[k] != 0))
		}
	}
}

const (
	smallest = 1e-290 // v √T is taken for as much
	farthest = 37     // beyond that N is 1
	steepest = 700    // |rT| counts up to this
)

// formula is that of the package's comment, in double precision.
func formula(spot, strike, rate, volatility, time float64, put bool) float64 {
	spread := max(volatility*math.Sqrt(time), smallest)
	d1 := (math.Log(spot/strike) + (rate+volatility*volatility/2)*time) / spread
	d2 := d1 - spread
	sign := 1.0
	if put {
		sign = -1
	}
	discounted := min(strike*math.Exp(max(min(-rate*time, steepest), -steepest)), math.MaxFloat64)
	return sign * (spot*normal(sign*d1) - discounted*normal(sign*d2))
}

// normal is the distribution N, by Abramowitz and Stegun 26.2.17.
func normal(d float64) float64 {
	x := min(math.Abs(d), farthest)
	k := 1 / (1 + 0.2316419*x)
	sum := k * (0.319381530 + k*(-0.356563782+k*(1.781477937+k*(-1.821255978+k*1.330274429))))
	tail := math.Exp(-x*x/2) / math.Sqrt(2*math.Pi) * sum
	if d < 0 {
		return tail
	}
	return 1 - tail
}
