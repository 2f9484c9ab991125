package portfolio

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// printed is a price as C prints it: strconv does so exactly, but writes what is not finite otherwise.
func printed[T Float](price T) string {
	switch x := float64(price); {
	case math.IsNaN(x) && math.Signbit(x):
		return "-nan\n"
	case math.IsNaN(x):
		return "nan\n"
	case math.IsInf(x, 0):
		return strings.ToLower(strings.TrimPrefix(fmt.Sprint(x), "+")) + "\n"
	default:
		return strconv.FormatFloat(x, 'f', 18, 64) + "\n"
	}
}

func checkPrinted[T Float](t interface{ Errorf(string, ...any) }, price T) {
	if got, want := string(AppendPrices(nil, []T{price})), printed(price); got != want {
		t.Errorf("%T %x is written as %q, not %q", price, price, got, want)
	}
}

// Prices of which the rounding is near a tie, or is one, or changes the digits in front of it.
var hardPrices = []float64{
	0, math.Copysign(0, -1), 1, -1, 0.5, 9.75, 10, 99.99999, 1e17, 1<<53 - 1, 1 << 63, 1 << 64, 1<<64 - 2048, 1e22, 1e300,
	math.MaxFloat32, math.MaxFloat64, math.SmallestNonzeroFloat32, math.SmallestNonzeroFloat64,
	0x1p-18, 0x1p-19, 3 * 0x1p-19, 0x1p-60, 0x1p-61, 0x1p-63, 0x1p-64, 0x1p-65, 0x1.8p-60, 0x1p-127, 0x1p-128,
	math.Nextafter(1, 0), math.Nextafter(10, 0), 0.0000005, 5e-19, 4.9999999999999e-19, 1.5e-18, 2.5e-18, 1e-18, 1e-19,
	math.Inf(1), math.Inf(-1), math.NaN(), math.Copysign(math.NaN(), -1),
}

func TestPricesArePrintedExactly(t *testing.T) {
	for _, price := range hardPrices {
		checkPrinted(t, price)
		checkPrinted(t, float32(price))
	}
	rapid.Check(t, func(t *rapid.T) {
		checkPrinted(t, math.Float64frombits(rapid.Uint64().Draw(t, "bits")))
		checkPrinted(t, math.Float32frombits(rapid.Uint32().Draw(t, "bits")))
		// Of the size that prices have; and with few digits, so that there are ties.
		checkPrinted(t, rapid.Float64Range(0, 1000).Draw(t, "price"))
		checkPrinted(t, rapid.Float32Range(0, 1000).Draw(t, "price"))
		checkPrinted(t, math.Ldexp(float64(rapid.IntRange(0, 1<<20).Draw(t, "digits")), -rapid.IntRange(0, 140).Draw(t, "shift")))
	})
}

// The C library agrees, on prices of all sizes at once.
func TestPricesArePrintedAsInC(t *testing.T) {
	program, dir := floor(t), t.TempDir()
	var prices []float32
	for i := range uint64(200000) {
		prices = append(prices, math.Float32frombits(uint32(mix(i))), float32(mix(i)>>40)/(1<<16))
	}
	for _, price := range hardPrices {
		if price == price { // gcc's float32 of a NaN has the sign that it likes
			prices = append(prices, float32(price))
		}
	}
	for i, price := range prices {
		if price != price {
			prices[i] = 1
		}
	}
	from, to := filepath.Join(dir, "prices"), filepath.Join(dir, "text")
	if err := os.WriteFile(from, bytesOf(prices), 0o600); err != nil {
		t.Fatal(err)
	}
	seconds(t, program, "print", from, to)
	want, err := os.ReadFile(to)
	if err != nil {
		t.Fatal(err)
	}
	got := AppendPrices(AppendCount(nil, int64(len(prices))), prices)
	if !bytes.Equal(got, want) {
		a, b := bytes.Split(got, []byte("\n")), bytes.Split(want, []byte("\n"))
		for i := range a {
			if i >= len(b) || !bytes.Equal(a[i], b[i]) {
				t.Fatalf("line %d is %q, not %q", i+1, a[i], b[i])
			}
		}
		t.Fatal("the C program wrote more")
	}
}

// Text is appended to what is there, whatever room there is.
func TestAppendPrices(t *testing.T) {
	prices := make([]float32, 1000)
	for i := range prices {
		prices[i] = float32(mix(uint64(i))>>40) / (1 << 14)
	}
	prices[500] = math.MaxFloat32
	want := "before"
	for _, price := range prices {
		want += printed(price)
	}
	for _, room := range []int{0, 1, 25, 12000, 100000} {
		text := append(make([]byte, 0, 6+room), "before"...)
		if got := string(AppendPrices(text, prices)); got != want {
			t.Errorf("with room for %d bytes it is another text", room)
		}
	}
}

func FuzzPrice(f *testing.F) {
	for _, price := range hardPrices {
		f.Add(math.Float64bits(price))
	}
	f.Fuzz(func(t *testing.T, bits uint64) {
		checkPrinted(t, math.Float64frombits(bits))
		checkPrinted(t, math.Float32frombits(uint32(bits)))
	})
}
