package pricing

import (
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/sublet-hpc/sublet/apps/blackscholes/portfolio"
)

// kernels are all ways to price in a precision, by name.
func kernels[T portfolio.Float]() map[string]Func[T] {
	all := map[string]Func[T]{"go": priceGo[T]}
	for i, name := range variants() {
		all[name] = func(blocks []portfolio.Block[T], prices []T) { price(i, blocks, prices) }
	}
	return all
}

func TestErrors(t *testing.T) {
	t.Run("single", testErrors[float32])
	t.Run("double", testErrors[float64])
}

// The error against libm in long double is within what the documentation says.
func testErrors[T portfolio.Float](t *testing.T) {
	for name, options := range map[string]kind{"like PARSEC": likeParsec, "wide": wide} {
		blocks := random[T](5000, options)
		want := exact(t, blocks)
		for kernel, price := range kernels[T]() {
			prices := make([]T, len(want))
			price(blocks, prices)
			worst, absolute, at := 0.0, 0.0, 0
			for i := range want {
				b, k := &blocks[i/portfolio.Lanes], i%portfolio.Lanes
				scale := float64(b.Spot[k]) + float64(b.Strike[k])*math.Exp(-float64(b.Rate[k])*float64(b.Time[k]))
				off := math.Abs(float64(prices[i]) - want[i])
				if !(off/scale <= worst) {
					worst, at = off/scale, i
				}
				absolute = max(absolute, off)
			}
			t.Logf("%s, %s: at most %.2g of S + K exp(-rT), and %.2g", name, kernel, worst, absolute)
			if !(worst <= ErrorBound[T]()) {
				b, k := &blocks[at/portfolio.Lanes], at%portfolio.Lanes
				t.Errorf("%s, %s: S %v, K %v, r %v, v %v, T %v, put %d: %v, want %v", name, kernel,
					b.Spot[k], b.Strike[k], b.Rate[k], b.Volatility[k], b.Time[k], b.Put[k], prices[at], want[at])
			}
		}
	}
}

func TestLimits(t *testing.T) {
	t.Run("single", testLimits[float32])
	t.Run("double", testLimits[float64])
}

// Where the formula divides by zero, or leaves what numbers there are, the price is its limit.
func testLimits[T portfolio.Float](t *testing.T) {
	for _, c := range []struct {
		name                                string
		spot, strike, rate, volatility, end float64
		call, put                           float64
	}{
		{"no time left, above the strike", 110, 100, 0.05, 0.2, 0, 10, 0},
		{"no time left, below the strike", 90, 100, 0.05, 0.2, 0, 0, 10},
		{"no time left, at the strike", 100, 100, 0.05, 0.2, 0, 0, 0},
		{"no volatility", 100, 100, 0.05, 0, 1, 100 - 100*math.Exp(-0.05), 0},
		{"no volatility, no interest, at the strike", 100, 100, 0, 0, 1, 0, 0},
		{"no volatility, falling", 100, 100, -0.05, 0, 1, 0, 100*math.Exp(0.05) - 100},
		{"hardly any time", 110, 100, 0.05, 0.2, 1e-30, 10, 0},
		{"any volatility", 100, 100, 0, 1e4, 1, 100, 100},
		{"for ever", 100, 100, 0.05, 0.2, 1e4, 100, 0},
		{"worth nothing", 0, 100, 0.05, 0.2, 1, 0, 100 * math.Exp(-0.05)},
		{"for nothing", 100, 0, 0.05, 0.2, 1, 100, 0},
		{"absurd interest", 100, 100, 1000, 0.2, 1, 100, 0},
	} {
		var block portfolio.Block[T]
		block.Pad(0)
		for k, put := range []int32{0, 1} {
			block.Spot[k], block.Strike[k], block.Rate[k], block.Volatility[k], block.Time[k] = T(c.spot), T(c.strike), T(c.rate), T(c.volatility), T(c.end)
			block.Put[k] = put
		}
		for kernel, price := range kernels[T]() {
			prices := make([]T, portfolio.Lanes)
			price([]portfolio.Block[T]{block}, prices)
			for k, want := range []float64{c.call, c.put} {
				// 26.2.17 gives N(0) only to 5e-10.
				if off := math.Abs(float64(prices[k]) - want); !(off <= 1e-7*100+200*ErrorBound[T]()) {
					t.Errorf("%s, %s: price %d is %v, want %v", c.name, kernel, k, prices[k], want)
				}
			}
		}
	}
}

// No block is touched but those that are given, and no blocks are none.
func TestBounds(t *testing.T) {
	blocks := random[float32](3, likeParsec)
	for name, price := range kernels[float32]() {
		prices := slices.Repeat([]float32{-7}, 4*portfolio.Lanes)
		price(blocks[:0], nil)
		price(blocks[:2], prices[portfolio.Lanes:])
		for i, value := range prices {
			if within := i >= portfolio.Lanes && i < 3*portfolio.Lanes; within == (value == -7) {
				t.Errorf("%s: price %d is %v", name, i, value)
			}
		}
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: too few prices were taken", name)
				}
			}()
			price(blocks, make([]float32, 2*portfolio.Lanes))
		}()
	}
}

func TestOf(t *testing.T) {
	if _, err := Of[float64](Parsec); !errors.Is(err, ErrNoDouble) {
		t.Errorf("PARSEC's arithmetic in double precision: %v", err)
	}
	if _, err := Of[float32]("fast"); err == nil {
		t.Error("there is a kernel that there is not")
	}
	blocks := random[float32](100, likeParsec)
	want := exact(t, blocks)
	for _, kernel := range []Kernel{Vector, Parsec, Go} {
		price, err := Of[float32](kernel)
		if err != nil {
			t.Fatal(err)
		}
		prices := make([]float32, len(want))
		price(blocks, prices)
		for i := range want {
			if off := math.Abs(float64(prices[i]) - want[i]); !(off < 1e-4) {
				t.Errorf("%s: price %d is %v, want %v", kernel, i, prices[i], want[i])
			}
		}
	}
}
