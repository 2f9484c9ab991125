package portfolio

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// The prices are those of the formula with the functions of package math, which are to be right to the last bits.
func TestReferencePrices(t *testing.T) {
	worst := 0.0
	for i := range int64(200000) {
		g := generate(i, 1)
		s, k := float64(g.spot)/100, float64(g.strike)/100
		r, v, years := float64(g.rate)/10000, float64(g.volatility)/100, float64(g.time)/100
		phi := func(x float64) float64 { return math.Erfc(-x/math.Sqrt2) / 2 }
		d1 := (math.Log(s/k) + (r+v*v/2)*years) / (v * math.Sqrt(years))
		d2 := d1 - v*math.Sqrt(years)
		k *= math.Exp(-r * years)
		want := s*phi(d1) - k*phi(d2)
		if g.put {
			want = k*phi(-d2) - s*phi(-d1)
		}
		worst = max(worst, math.Abs(g.price()-want))
	}
	if !(worst <= 1e-11) {
		t.Errorf("a price is wrong by %g", worst)
	}
}

// PARSEC's arithmetic in single precision stays within PARSEC's limit of 1e-4 on generated options, so
// that --check finds nothing where there is nothing.
func TestReferencePricesCanBeMet(t *testing.T) {
	cndf := func(x float32) float32 {
		a := max(x, -x)
		density := float32(math.Exp(float64(-0.5*a*a))) * 0.39894228
		k := 1 / (1 + 0.2316419*a)
		tail := density * k * (0.319381530 + k*(-0.356563782+k*(1.781477937+k*(-1.821255978+k*1.330274429))))
		if x < 0 {
			return tail
		}
		return 1 - tail
	}
	var blocks [Lanes]Block[float32]
	var reference [Lanes * Lanes]float32
	worst := 0.0
	for first := int64(0); first < 1<<19; first += Lanes * Lanes {
		Generate(blocks[:], reference[:], first, len(reference), 3)
		for i := range reference {
			b, k := &blocks[i/Lanes], i%Lanes
			s, x, r, v, years := b.Spot[k], b.Strike[k], b.Rate[k], b.Volatility[k], b.Time[k]
			spread := v * float32(math.Sqrt(float64(years)))
			d1 := ((r+v*v*0.5)*years + float32(math.Log(float64(s/x)))) / spread
			d2 := d1 - spread
			x *= float32(math.Exp(float64(-r * years)))
			price := s*cndf(d1) - x*cndf(d2)
			if b.Put[k] == 1 {
				price = x*(1-cndf(d2)) - s*(1-cndf(d1))
			}
			worst = max(worst, math.Abs(float64(price-reference[i])))
		}
	}
	t.Logf("%.2g", worst)
	if !(worst < 1e-4) {
		t.Errorf("a price in single precision is wrong by %g", worst)
	}
}

// The same on every machine, and in every version: other programs' results depend on it.
func TestGeneratedOptionsStayTheSame(t *testing.T) {
	text := AppendGenerated(nil, 0, 3, 1)
	const want = `49.45 48.31 0.0923 0.00 0.56 0.75 P 0.00 7.031221163084140358
89.67 93.87 0.0723 0.00 0.23 0.23 C 0.00 2.815027770070024360
33.79 34.28 0.0279 0.00 0.49 0.78 P 0.00 5.644077102408949997
`
	if string(text) != want {
		t.Errorf("they are\n%s", text)
	}
	sum := sha256.Sum256(AppendGenerated(nil, 1<<40, 100000, 42))
	if got := hex.EncodeToString(sum[:]); got != "dd3d241b9d43a039d5526e44affdc3da073c7e5024c926135772861e7011c8b5" {
		t.Errorf("the checksum of others is %s", got)
	}
}

// However options are divided among calls, they are the same, and those of the text.
func TestGeneratedOptionsAreThoseOfTheText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		first := rapid.Int64Range(0, 1<<40).Draw(t, "first")
		n, seed := rapid.IntRange(0, 100).Draw(t, "n"), rapid.Uint64().Draw(t, "seed")
		cut := rapid.IntRange(0, n).Draw(t, "cut")
		text := AppendGenerated(AppendGenerated(AppendCount(nil, int64(n)), first, cut, seed), first+int64(cut), n-cut, seed)
		generatedAsRead[float32](t, text, first, n, seed)
		generatedAsRead[float64](t, text, first, n, seed)
	})
}

func generatedAsRead[T Float](t *rapid.T, text []byte, first int64, n int, seed uint64) {
	f, err := memory(text, WithReference)
	if err != nil {
		t.Fatal(err)
	}
	r, err := NewReader[T](f, 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	read, readReference := make([]Block[T], Blocks(n)+1), make([]float32, (Blocks(n)+1)*Lanes)
	if k, err := r.Read(read, readReference); n > 0 && (err != nil || k != n) {
		t.Fatalf("%d of %d options, %v", k, n, err)
	}
	blocks, reference := make([]Block[T], Blocks(n)), make([]float32, Blocks(n)*Lanes)
	Generate(blocks, reference, first, n, seed)
	if !slices.Equal(blocks, read[:len(blocks)]) || !slices.Equal(reference, readReference[:len(reference)]) {
		t.Errorf("%v %v, in text %v %v", blocks, reference, read, readReference)
	}
}

func TestWriteGenerated(t *testing.T) {
	dir := t.TempDir()
	for _, count := range []int64{0, 1, batch, 3*batch + 17} {
		path := filepath.Join(dir, fmt.Sprint(count))
		last := int64(0)
		progress := func(done int64) error {
			if done <= last || done > count {
				t.Errorf("%d of %d are done after %d", done, count, last)
			}
			last = done
			return nil
		}
		if err := WriteGenerated(path, Generated{Count: count, Seed: 9}, progress); err != nil || last != count {
			t.Fatalf("%d of %d: %v", last, count, err)
		}
		text, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(text, AppendGenerated(AppendCount(nil, count), 0, int(count), 9)) {
			t.Errorf("%d options: %d bytes of another text, %v", count, len(text), err)
		}
		for _, precision := range []int{4, 8} {
			path := filepath.Join(dir, fmt.Sprint(count, precision))
			if err := WriteGenerated(path, Generated{Count: count, Seed: 9, Binary: true, Precision: precision}, nil); err != nil {
				t.Fatal(err)
			}
			f, err := Open(path, WithReference)
			if err != nil {
				t.Fatal(err)
			}
			got, _, err := read[float32](f, 0, 1, 1000)
			want, _, err2 := readAll[float32](string(text), 1000)
			if err := errors.Join(err, err2, f.Close()); err != nil || !slices.Equal(got, want) {
				t.Errorf("%d options of %d bytes are others: %v", count, precision, err)
			}
		}
	}
}

func TestWriteGeneratedInVain(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "options")
	stop := errors.New("stop")
	if err := WriteGenerated(path, Generated{Count: 1 << 40}, func(int64) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("%v", err)
	}
	for _, what := range []Generated{{Count: -1}, {Count: 1 << 60}, {Count: 1, Binary: true}} {
		if err := WriteGenerated(path, what, nil); err == nil || !strings.HasPrefix(err.Error(), "writing "+path+": ") {
			t.Errorf("%+v: %v", what, err)
		}
	}
	if left(t, dir) != "" {
		t.Errorf("%s is left", left(t, dir))
	}
}
