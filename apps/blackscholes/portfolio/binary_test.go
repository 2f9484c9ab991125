package portfolio

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"pgregory.net/rapid"
)

// binaryFile is a file of n generated options, in single precision.
func binaryFile(t testing.TB, n int64, columns Columns) []byte {
	t.Helper()
	return writeBinary[float32](t, n, columns)
}

func writeBinary[T Float](t testing.TB, n int64, columns Columns) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "options")
	out, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	w, err := NewBinaryOptions[T](out, n, columns)
	if err != nil {
		t.Fatal(err)
	}
	blocks, reference := make([]Block[T], Blocks(int(n))), make([]float32, Blocks(int(n))*Lanes)
	Generate(blocks, reference, 0, int(n), 1)
	if err := w.Put(0, int(n), blocks, reference); err != nil {
		t.Fatal(err)
	}
	if err := w.Finish(w.Tally()); err != nil {
		t.Fatal(err)
	}
	if err := out.Commit(); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// The layout in memory is that of files, and of the kernels in C.
func TestBlockHasNoPadding(t *testing.T) {
	if s, d := unsafe.Sizeof(Block[float32]{}), unsafe.Sizeof(Block[float64]{}); s != 24*Lanes || d != 44*Lanes {
		t.Errorf("%d and %d bytes", s, d)
	}
}

// The form of files does not change, on any machine.
func TestBinaryForm(t *testing.T) {
	content := binaryFile(t, 17, WithReference)
	if len(content) != 64+2*384+32*4 {
		t.Errorf("%d bytes", len(content))
	}
	const want = "8942534f0d0a1a0a010000000100000004000000010000001100000000000000"
	if got := hex.EncodeToString(content[:32]); got != want {
		t.Errorf("the header begins with %s, not %s", got, want)
	}
}

// Text and both binary forms of the same options are the same.
func TestFormsAgree(t *testing.T) {
	rapid.Check(t, func(t2 *rapid.T) {
		n := rapid.Int64Range(0, 200).Draw(t2, "n")
		content := AppendGenerated(AppendCount(nil, n), 0, int(n), 1)
		want, _, err := readAll[float32](string(content), 2)
		if err != nil {
			t2.Fatal(err)
		}
		wide, _, err := readAll[float64](string(content), 2)
		if err != nil {
			t2.Fatal(err)
		}
		parts := rapid.IntRange(1, 20).Draw(t2, "parts")
		same(t2, writeBinary[float32](t, n, WithReference), want, parts)
		same(t2, writeBinary[float64](t, n, WithReference), wide, parts)
		same(t2, writeBinary[float64](t, n, WithReference), want, parts) // cents in 53 bits, rounded again, are cents in 24
	})
}

func same[T Float](t *rapid.T, content []byte, want []plain[T], parts int) {
	f, err := memory(content, WithReference)
	if err != nil {
		t.Fatal(err)
	}
	var got []plain[T]
	var all Tally
	for part := range parts {
		options, tally, err := read[T](f, part, parts, 3)
		if err != nil {
			t.Fatal(err)
		}
		all.Add(tally)
		got = append(got, options...)
	}
	if err := f.Verify(all); err != nil || !f.Binary() || !slices.Equal(got, want) {
		t.Errorf("%v: %v, want %v", err, got, want)
	}
}

// Whatever is changed in a binary file, it is noticed, and said with the file's name.
func TestDamagedBinary(t *testing.T) {
	content := binaryFile(t, 40, WithReference)
	for at := range content {
		damaged := slices.Clone(content)
		damaged[at] ^= 1 << (at % 8)
		if err := readParts(string(damaged), 1+at%3); err == nil || !strings.HasPrefix(err.Error(), "in:") {
			t.Errorf("byte %d: %v", at, err)
		}
	}
	for size := range content {
		if err := readParts(string(content[:size]), 2); err == nil || !strings.HasPrefix(err.Error(), "in:") {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
	if err := readParts(string(content)+"x", 1); err == nil {
		t.Error("a byte more is not noticed")
	}
}

// Blocks that have come to another place are noticed as well.
func TestExchangedBlocks(t *testing.T) {
	content := binaryFile(t, 40, Inputs)
	damaged := slices.Concat(content[:64], content[64+384:64+768], content[64:64+384], content[64+768:])
	f, err := memory(damaged, Inputs)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := read[float32](f, 0, 1, 1); err == nil || !strings.Contains(err.Error(), "the checksum of its options is") {
		t.Errorf("%v", err)
	}
	if _, err := memory(content, WithReference); err == nil || !strings.Contains(err.Error(), "no reference prices") {
		t.Errorf("%v", err)
	}
}

// Options without a price are refused by their number.
func TestBinaryOptionWithoutPrice(t *testing.T) {
	for _, test := range []struct {
		change func(b *Block[float64])
		want   string
	}{
		{func(b *Block[float64]) { b.Time[3] = 0 }, "in: option 20: time 0: a finite number that is greater than 0 is expected"},
		{func(b *Block[float64]) { b.Volatility[3] = -1 }, "in: option 20: volatility -1: a finite number that is greater than 0 is expected"},
		{func(b *Block[float64]) { b.Spot[3] /= 0 * b.Rate[0] }, "in: option 20: spot price +Inf: a finite number that is greater than 0 is expected"},
		{func(b *Block[float64]) { b.Rate[3] /= 0 * b.Rate[0] }, "in: option 20: rate +Inf: a finite number is expected"},
		{func(b *Block[float64]) { b.Put[3] = 2 }, "in: option 20: type 2: 0, a call, or 1, a put, is expected"},
	} {
		blocks := make([]Block[float64], 2)
		Generate(blocks, nil, 0, 20, 1)
		test.change(&blocks[1])
		h := header{contents: holdsOptions, precision: 8, count: 20}
		f, err := memory(slices.Concat(h.encode(), bytesOf(blocks)), Inputs)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := read[float64](f, 0, 1, 2); err == nil || err.Error() != test.want {
			t.Errorf("%v; want %s", err, test.want)
		}
	}
	// What only double precision holds is no price in single precision.
	blocks := make([]Block[float64], 1)
	Generate(blocks, nil, 0, 16, 1)
	blocks[0].Strike[0] = 1e-60
	h := header{contents: holdsOptions, precision: 8, count: 16}
	f, err := memory(slices.Concat(h.encode(), bytesOf(blocks)), Inputs)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := read[float32](f, 0, 1, 2); err == nil || !strings.Contains(err.Error(), "option 1: strike price 0") {
		t.Errorf("%v", err)
	}
}

func TestBinaryPrices(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		roundTrip[float32](t, dir)
		roundTrip[float64](t, dir)
	})
}

func roundTrip[T Float](t *rapid.T, dir string) {
	prices := make([]T, rapid.IntRange(0, 100).Draw(t, "n"))
	for i := range prices {
		prices[i] = T(rapid.Float32().Draw(t, "price"))
	}
	path := filepath.Join(dir, "prices")
	out, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cut := rapid.IntRange(0, len(prices)).Draw(t, "cut")
	var all Tally
	for rank := range 2 { // the first has the prices behind
		to, err := Join(out.Temporary(), path)
		if err != nil {
			t.Fatal(err)
		}
		w, err := NewBinaryPrices[T](to, int64(len(prices)))
		if err != nil {
			t.Fatal(err)
		}
		first, mine := cut, prices[cut:]
		if rank == 1 {
			first, mine = 0, prices[:cut]
		}
		if err := w.Put(int64(first), mine); err != nil {
			t.Fatal(err)
		}
		all.Add(w.Tally())
		if rank == 1 {
			err = w.Finish(all)
		}
		if err := errors.Join(err, to.Close()); err != nil {
			t.Fatal(err)
		}
	}
	if err := out.Commit(); err != nil {
		t.Fatal(err)
	}
	single, err := ReadBinaryPrices[float32](path)
	if err != nil || len(single) != len(prices) {
		t.Fatalf("%d prices, %v", len(single), err)
	}
	double, err := ReadBinaryPrices[float64](path)
	if err != nil {
		t.Fatal(err)
	}
	for i, price := range prices {
		if single[i] != float32(price) || double[i] != float64(price) {
			t.Errorf("%v is read as %v and %v", price, single[i], double[i])
		}
	}
}

func FuzzBinaryPrices(f *testing.F) {
	h := header{contents: holdsPrices, precision: 4, count: 3, checksum: priceChecksum([]float32{1, 2, 3}, 0)}
	f.Add(slices.Concat(h.encode(), bytesOf([]float32{1, 2, 3})))
	h.precision = 8
	f.Add(h.encode())
	f.Add(binaryFile(f, 3, Inputs))
	f.Fuzz(func(t *testing.T, content []byte) {
		file := &File{name: "in", source: bytes.NewReader(content), size: int64(len(content))}
		var prices []float32
		var err error
		if bytes := allocated(func() { prices, err = readPrices[float32](file) }); bytes > uint64(1<<16+8*len(content)) {
			t.Errorf("%d bytes allocated for a file of %d", bytes, len(content))
		}
		if err == nil && len(content) != 64+4*len(prices) && len(content) != 64+8*len(prices) {
			t.Errorf("%d prices in %d bytes", len(prices), len(content))
		}
	})
}
