package portfolio

import (
	"math"
	"testing"
)

func TestReferencePrices(t *testing.T) {
	worst := 0.0
	for i := range int64(200000) {
		g := generate(i, 1)
		s, k := float64(g.spot)/100, float64(g.strike)/100
		r, v, tm := float64(g.rate)/10000, float64(g.volatility)/100, float64(g.time)/100
		phi := func(x float64) float64 { return math.Erfc(-x/math.Sqrt2) / 2 }
		d1 := (math.Log(s/k) + (r+v*v/2)*tm) / (v * math.Sqrt(tm))
		d2 := d1 - v*math.Sqrt(tm)
		k *= math.Exp(-r * tm)
		want := s*phi(d1) - k*phi(d2)
		if g.put {
			want = k*phi(-d2) - s*phi(-d1)
		}
		worst = max(worst, math.Abs(g.price()-want))
	}
	t.Log(worst)
	if worst > 1e-11 {
		t.Errorf("a price is wrong by %g", worst)
	}
}
