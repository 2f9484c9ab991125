package linear

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

// watch feeds residuals until divergence is noticed, and returns when, or 0.
func watch(most int, residual func(k int) float64) (iteration int, radius float64) {
	var g Growth
	for k := range most {
		if radius, diverges := g.Diverges(residual(k)); diverges {
			return k + 1, radius
		}
	}
	return 0, 0
}

func TestDivergenceIsNoticedEarly(t *testing.T) {
	for name, test := range map[string]struct {
		residual func(k float64) float64
		radius   float64
		by       int
	}{
		"at once":                {func(k float64) float64 { return math.Pow(1.24, k) }, 1.24, 30},
		"fast":                   {func(k float64) float64 { return math.Pow(1e6, k) }, 1e6, 30},
		"slowly":                 {func(k float64) float64 { return math.Pow(1.01, k) }, 1.01, 400},
		"after converging first": {func(k float64) float64 { return math.Pow(0.5, k) + 1e-9*math.Pow(1.24, k) }, 1.24, 200},
		"taking turns":           {func(k float64) float64 { return math.Pow(1.24, k) * (1 + 0.9*math.Cos(math.Pi*k)) }, 1.24, 40},
		"going round":            {func(k float64) float64 { return math.Pow(1.24, k) * (1 + 0.5*math.Cos(2*k)) }, 1.24, 60},
	} {
		at, radius := watch(10000, func(k int) float64 { return test.residual(float64(k)) })
		if at == 0 || at > test.by || math.Abs(radius-test.radius) > 0.05*test.radius {
			t.Errorf("%s: radius %v after %d iterations, want %v after at most %d", name, radius, at, test.radius, test.by)
		}
	}
}

func TestConvergenceIsNoDivergence(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		radius := rapid.Float64Range(0, 0.9999).Draw(t, "radius")
		noise := rapid.SliceOfN(rapid.Float64Range(0.5, 2), 300, 300).Draw(t, "noise")
		hump := rapid.Float64Range(1, 1e6).Draw(t, "hump") // a growth at first that comes to an end
		at, estimate := watch(300, func(k int) float64 {
			return math.Pow(radius, float64(k)) * noise[k] * math.Min(hump, float64(1+k*k))
		})
		// Polynomial growth may outweigh a radius near 1 for long; that is not a lasting factor.
		if at != 0 && radius < 0.9 {
			t.Fatalf("diverges by %v after %d iterations", estimate, at)
		}
	})
	for name, residual := range map[string]func(k int) float64{
		"standing still": func(int) float64 { return 1e-16 },
		"zero":           func(int) float64 { return 0 },
		"rounding errors": func(k int) float64 {
			return max(math.Pow(0.1, float64(k)), 1e-16*(1+float64(mix(uint64(k))%100)))
		},
		"a hump": func(k int) float64 { return math.Exp(float64(k) - float64(k*k)/20) },
	} {
		if at, radius := watch(10000, residual); at != 0 {
			t.Errorf("%s: diverges by %v after %d iterations", name, radius, at)
		}
	}
}

// The estimate is that of the generated systems' matrices.
func TestDivergenceOfASystem(t *testing.T) {
	s := System{N: 60, Seed: 5, Dominance: 0.8}
	block := s.Block(0, s.N)
	x, next := make([]float64, Stride(s.N)), make([]float64, Stride(s.N))
	at, radius := watch(1000, func(int) float64 {
		block.Sweep(next, x, 0, s.N)
		residual := Step(next, x, 0, block.Diagonal)
		x, next = next, x
		return residual
	})
	// All rows add up to 1/dominance without the diagonal, which is then an eigenvalue.
	if at == 0 || at > 60 || math.Abs(radius-1.25) > 0.001 {
		t.Errorf("radius %v after %d iterations", radius, at)
	}
}
