package pricing

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

	"github.com/sublet-hpc/sublet/apps/blackscholes/portfolio"
)

// The function library is compiled by other options than what cgo compiles, and perhaps by another compiler:
// none may change a single bit of a price. Nor does it matter where in memory the options are.
func TestPricesDoNotDependOnCompilersOptions(t *testing.T) {
	sources, err := filepath.Glob("*.c")
	if err != nil || len(sources) < 5 {
		t.Fatalf("%v, %v", sources, err)
	}
	single, double := random[float32](1000, wide), random[float64](1000, wide)
	var input []byte
	input = append(input, bytesOf(single)...)
	input = append(input, bytesOf(double)...)
	var want []byte
	for variant := range variants() {
		prices, more := make([]float32, 1000*portfolio.Lanes), make([]float64, 1000*portfolio.Lanes)
		price(variant, single, prices)
		price(variant, double, more)
		want = append(append(want, bytesOf(prices)...), bytesOf(more)...)
	}
	prices := make([]float32, 1000*portfolio.Lanes)
	priceParsec(single, prices)
	want = append(want, bytesOf(prices)...)

	compilers := [][]string{{"-O0"}, {"-O1"}, {"-O2"}, {"-O3", "-march=native"}, {"-O3", "-funroll-all-loops", "-ffp-contract=off"}}
	for _, options := range compilers {
		arguments := append([]string{"-std=c11", "-I.", "testdata/raw.c"}, append(sources, options...)...)
		if got := feed(t, input, compile(t, "raw", arguments...)); !bytes.Equal(got, want) {
			at := 0
			for at < min(len(got), len(want)) && got[at] == want[at] {
				at++
			}
			t.Errorf("%v: %d bytes, want %d; they differ from byte %d on", options, len(got), len(want), at)
		}
	}
}

// Options that do change prices are refused.
func TestContractionIsRefused(t *testing.T) {
	for _, options := range [][]string{{"-std=gnu11"}, {"-std=c11", "-ffast-math"}} {
		out, err := exec.CommandContext(t.Context(), "cc", append(options, "-fsyntax-only", "variant.c")...).CombinedOutput()
		if err == nil || !strings.Contains(string(out), "compile with -std=c11") {
			t.Errorf("%v: %v\n%s", options, err, out)
		}
	}
}

func TestBlocksAreLaidOutAsInC(t *testing.T) {
	if size := unsafe.Sizeof(portfolio.Block[float32]{}); size != 24*portfolio.Lanes {
		t.Errorf("a block in single precision has %d bytes", size)
	}
	if size := unsafe.Sizeof(portfolio.Block[float64]{}); size != 44*portfolio.Lanes {
		t.Errorf("a block in double precision has %d bytes", size)
	}
}

func bytesOf[T any](values []T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(values))), len(values)*int(unsafe.Sizeof(values[0])))
}
