package pricing

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"math"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/sublet-hpc/sublet/apps/blackscholes/portfolio"
	"github.com/sublet-hpc/sublet/internal/endurance"
)

// The kernel is no slower than what a compiler makes of the formula, for this very CPU and with -ffast-math.
func TestEnduranceFloor(t *testing.T) {
	floor := compile(t, "floor", "-O3", "-march=native", "-ffast-math", "testdata/floor.c")
	for _, options := range []int{1 << 14, endurance.Count(1<<16, 1<<20)} {
		blocks := random[float32](options/portfolio.Lanes, likeParsec)
		input := columns(blocks, func(out []byte, value float32) []byte {
			return binary.NativeEndian.AppendUint32(out, math.Float32bits(value))
		}, func(out []byte, put int32) []byte { return binary.NativeEndian.AppendUint32(out, uint32(put)) })
		prices := make([]float32, options)
		var ours, theirs []float64
		repeats := endurance.Count(3, 20)
		for range endurance.Count(1, 9) {
			for lines := bufio.NewScanner(bytes.NewReader(feed(t, input, floor, strconv.Itoa(repeats)))); lines.Scan(); {
				seconds, err := strconv.ParseFloat(lines.Text(), 64)
				if err != nil {
					t.Fatal(err)
				}
				theirs = append(theirs, seconds)
			}
			for range repeats {
				start := time.Now()
				price(0, blocks, prices)
				ours = append(ours, time.Since(start).Seconds())
			}
		}
		own, other := median(ours), median(theirs)
		endurance.Report(t, "%d options: %.0f million a second by %s, %.0f by the compiler's: %.2f times as fast",
			options, float64(options)/own/1e6, Instructions(), float64(options)/other/1e6, other/own)
		if endurance.InFull() && own > other {
			t.Errorf("%d options: %.3g s, and the compiler's takes %.3g s", options, own, other)
		}
	}
}

func median(seconds []float64) float64 {
	slices.Sort(seconds)
	return seconds[len(seconds)/2]
}
