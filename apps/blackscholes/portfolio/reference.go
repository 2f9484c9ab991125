package portfolio

import "math"

// price is the closed form that [Generate] has in its description.
//
// It is right to 1e-11. All machines compute the same to the last bit, as the reference column of
// a generated file has to be: nothing is used but operations that IEEE 754 defines, and a conversion
// around each product keeps the compiler from fusing it with a sum. The functions of package math are
// others on each architecture.
func (g *generated) price() float64 {
	s, k := float64(g.spot)/100, float64(g.strike)/100
	r, v, t := float64(g.rate)/10000, float64(g.volatility)/100, float64(g.time)/100
	spread := float64(v * math.Sqrt(t))
	drift := float64((r + float64(float64(v*v)/2)) * t)
	d1 := (logNear1(s/k) + drift) / spread
	d2 := d1 - spread
	k = float64(k * exp(-float64(r*t)))
	if g.put {
		return max(0, float64(k*normal(-d2))-float64(s*normal(-d1)))
	}
	return max(0, float64(s*normal(d1))-float64(k*normal(d2)))
}

// reference is the float32 that is read where text has the price.
func (g *generated) reference() float32 {
	price := g.price()
	whole, fraction, _, _ := fixed(price)
	x, sure := together(whole, fraction)
	if !sure {
		text := appendPrice(make([]byte, 0, maxPrice), price)
		x, _ = number[float32](text[:len(text)-1]) // which is a number
	}
	return x
}

// logNear1 is the natural logarithm of a number from 0.7 to 1.4: the series of the area hyperbolic
// tangent, of which the first power left out is below 1e-17.
func logNear1(x float64) float64 {
	z := (x - 1) / (x + 1)
	return 2 * float64(z*horner(float64(z*z), 1./21, 1./19, 1./17, 1./15, 1./13, 1./11, 1./9, 1./7, 1./5, 1./3, 1))
}

// exp is e to the power of a number that is not positive: 2ⁿ × the series of what remains, which is at most
// log(2)/2.
func exp(x float64) float64 {
	const (
		high = 0x1.62e42fee00000p-1 // log(2), with so few digits that n times it is exact
		low  = 0x1.a39ef35793c76p-33
	)
	n := math.Floor(x/math.Ln2 + 0.5)
	rest := (x - float64(n*high)) - float64(n*low)
	series := horner(rest, 1./6227020800, 1./479001600, 1./39916800, 1./3628800, 1./362880, 1./40320,
		1./5040, 1./720, 1./120, 1./24, 1./6, 1./2, 1, 1)
	return math.Ldexp(series, int(n))
}

// normal is the distribution function Φ of the normal distribution: Hart's rational approximation
// ("Computer Approximations", 1968, 5666), and far out a continued fraction, as West has them together
// ("Better approximations to cumulative normal functions", Wilmott Magazine, 2005).
func normal(x float64) float64 {
	a := math.Abs(x)
	var tail float64
	switch {
	case a > 37:
		tail = 0
	case a < 7.07106781186547:
		tail = exp(-float64(a*a)/2) *
			horner(a, 3.52624965998911e-02, 0.700383064443688, 6.37396220353165, 33.912866078383,
				112.079291497871, 221.213596169931, 220.206867912376) /
			horner(a, 8.83883476483184e-02, 1.75566716318264, 16.064177579207, 86.7807322029461,
				296.564248779674, 637.333633378831, 793.826512519948, 440.413735824752)
	default:
		const root2π = 2.506628274631000502
		tail = exp(-float64(a*a)/2) / root2π / (a + 1/(a+2/(a+3/(a+4/(a+0.65)))))
	}
	if x > 0 {
		return 1 - tail
	}
	return tail
}

// horner is a polynomial, of which the coefficients of the highest powers come first.
func horner(x float64, coefficients ...float64) float64 {
	sum := 0.0
	for _, c := range coefficients {
		sum = float64(sum*x) + c
	}
	return sum
}
