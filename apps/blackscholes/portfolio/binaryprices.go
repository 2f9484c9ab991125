package portfolio

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"unsafe"
)

// BinaryPrices writes prices in the binary form, in parts that several ranks may write at the same
// time, each to an Output of its own for the same file.
type BinaryPrices[T Float] struct {
	to     *Output
	header header
	tally  Tally
}

// NewBinaryPrices returns a writer of count prices.
func NewBinaryPrices[T Float](to *Output, count int64) (*BinaryPrices[T], error) {
	if count < 0 || count > maxCount {
		return nil, fmt.Errorf("writing %s: %d prices: from 0 to %d can be written", to.path, count, int64(maxCount))
	}
	return &BinaryPrices[T]{to: to, header: header{contents: holdsPrices, precision: int64(unsafe.Sizeof(T(0))), count: count}}, nil
}

// Put writes prices, of which the first is that of option first.
func (w *BinaryPrices[T]) Put(first int64, prices []T) error {
	if first < 0 || first+int64(len(prices)) > w.header.count {
		return fmt.Errorf("writing %s: prices %d to %d of %d", w.to.path, first, first+int64(len(prices)), w.header.count)
	}
	if _, err := w.to.WriteAt(bytesOf(prices), headerSize+first*w.header.precision); err != nil {
		return err
	}
	w.tally.Options += int64(len(prices))
	w.tally.Checksum += priceChecksum(prices, first)
	return nil
}

// Tally is what has been put so far.
func (w *BinaryPrices[T]) Tally() Tally { return w.tally }

// Finish writes the header, after all ranks have put what they have; their tallies are added up. One
// rank does that.
func (w *BinaryPrices[T]) Finish(all Tally) error {
	if all.Options != w.header.count {
		return fmt.Errorf("writing %s: %s were put, of %d", w.to.path, plural(all.Options, "price"), w.header.count)
	}
	h := w.header
	h.checksum = all.Checksum
	_, err := w.to.WriteAt(h.encode(), 0)
	return err
}

// priceChecksum is a sum over the prices of what mix makes of each and its number.
func priceChecksum[T Float](prices []T, first int64) uint64 {
	var sum uint64
	for i, price := range prices {
		bits := uint64(math.Float32bits(float32(price)))
		if unsafe.Sizeof(price) == 8 {
			bits = math.Float64bits(float64(price))
		}
		sum += mix(bits + uint64(first+int64(i))*0xd1342543de82ef95)
	}
	return sum
}

// ReadBinaryPrices reads all prices of a binary file, of either precision, and checks that it is whole.
// It allocates what the file has. Errors name the file.
func ReadBinaryPrices[T Float](path string) ([]T, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading prices: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("reading prices: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("reading prices: %s is not a regular file", path)
	}
	return readPrices[T](&File{name: path, source: file, size: info.Size()})
}

func readPrices[T Float](f *File) ([]T, error) {
	head := make([]byte, headerSize)
	n, err := readFull(f.source, head, 0)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.name, err)
	}
	if string(head[:min(n, len(magic))]) != magic {
		return nil, f.errorf("it is not in the binary form, of which the first bytes are %q", magic)
	}
	h := &header{}
	if why := h.decode(head[:n], holdsPrices); why != "" {
		return nil, f.errorf("%s", why)
	}
	if h.size() != f.size {
		return nil, f.errorf("the binary file has %d bytes, and one with %s has %d: part of it is missing, or it is damaged",
			f.size, plural(h.count, "price"), h.size())
	}
	if h.precision == int64(unsafe.Sizeof(T(0))) {
		return readPricesOf[T](f, h)
	}
	if h.precision == 4 {
		return converted[T, float32](f, h)
	}
	return converted[T, float64](f, h)
}

func converted[T, U Float](f *File, h *header) ([]T, error) {
	others, err := readPricesOf[U](f, h)
	if err != nil {
		return nil, err
	}
	prices := make([]T, len(others))
	for i, price := range others {
		prices[i] = T(price)
	}
	return prices, nil
}

func readPricesOf[T Float](f *File, h *header) ([]T, error) {
	prices := make([]T, h.count)
	if _, err := io.ReadFull(io.NewSectionReader(f.source, headerSize, h.size()-headerSize), bytesOf(prices)); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: %w", f.name, err)
	}
	if found := priceChecksum(prices, 0); found != h.checksum {
		return nil, f.errorf("the binary file is damaged: its checksum is %016x, and that of its contents %016x", h.checksum, found)
	}
	return prices, nil
}
