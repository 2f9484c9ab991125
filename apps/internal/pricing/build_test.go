package pricing

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/sublet-hpc/sublet/apps/blackscholes/portfolio"
)

// compile builds a program of C and returns its path.
func compile(t testing.TB, name string, arguments ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	arguments = append(arguments, "-Wall", "-Wextra", "-Werror", "-lm", "-o", path)
	if out, err := exec.CommandContext(t.Context(), cmp.Or(os.Getenv("CC"), "cc"), arguments...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

// feed runs a program with some input and returns its output.
func feed(t testing.TB, input []byte, program string, arguments ...string) []byte {
	t.Helper()
	command := exec.CommandContext(t.Context(), program, arguments...)
	command.Stdin = bytes.NewReader(input)
	var stderr bytes.Buffer
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", program, err, &stderr)
	}
	return out
}

// kind is where random options come from.
type kind func(r *rand.Rand) (spot, strike, rate, volatility, time float64)

// likeParsec has the ranges of PARSEC's inputs.
func likeParsec(r *rand.Rand) (spot, strike, rate, volatility, time float64) {
	spot = 10 + 90*r.Float64()
	return spot, spot * (0.5 + r.Float64()), 0.0275 + 0.1*r.Float64(), 0.05 + 0.6*r.Float64(), 0.05 + 0.95*r.Float64()
}

// wide has numbers of many magnitudes.
func wide(r *rand.Rand) (spot, strike, rate, volatility, time float64) {
	between := func(lo, hi float64) float64 { return math.Exp(math.Log(lo) + r.Float64()*math.Log(hi/lo)) }
	spot = between(1e-3, 1e5)
	return spot, spot * between(0.01, 100), 0.4*r.Float64() - 0.2, between(1e-4, 5), between(1e-4, 5)
}

// random makes blocks of options.
func random[T portfolio.Float](blocks int, options kind) []portfolio.Block[T] {
	r := rand.New(rand.NewPCG(1, 2))
	made := make([]portfolio.Block[T], blocks)
	for i := range made {
		for k := range portfolio.Lanes {
			spot, strike, rate, volatility, time := options(r)
			b := &made[i]
			b.Spot[k], b.Strike[k], b.Rate[k], b.Volatility[k], b.Time[k] = T(spot), T(strike), T(rate), T(volatility), T(time)
			b.Put[k] = int32(r.IntN(2))
		}
	}
	return made
}

// columns are the options field after field, behind their number.
func columns[T portfolio.Float](blocks []portfolio.Block[T], appendNumber func([]byte, T) []byte, put func([]byte, int32) []byte) []byte {
	out := binary.NativeEndian.AppendUint64(nil, uint64(len(blocks)*portfolio.Lanes))
	for field := range 5 {
		for i := range blocks {
			b := &blocks[i]
			for _, value := range [...]*[portfolio.Lanes]T{&b.Spot, &b.Strike, &b.Rate, &b.Volatility, &b.Time}[field] {
				out = appendNumber(out, value)
			}
		}
	}
	for i := range blocks {
		for _, value := range blocks[i].Put {
			out = put(out, value)
		}
	}
	return out
}

func appendDouble[T portfolio.Float](out []byte, value T) []byte {
	return binary.NativeEndian.AppendUint64(out, math.Float64bits(float64(value)))
}

// exact are the prices of the formula in long double.
func exact[T portfolio.Float](t testing.TB, blocks []portfolio.Block[T]) []float64 {
	t.Helper()
	input := columns(blocks, appendDouble[T], func(out []byte, put int32) []byte { return appendDouble(out, float64(put)) })
	out := feed(t, input, compile(t, "reference", "-O2", "testdata/reference.c"))
	prices := make([]float64, len(out)/8)
	for i := range prices {
		prices[i] = math.Float64frombits(binary.NativeEndian.Uint64(out[8*i:]))
	}
	return prices
}
