package portfolio

import (
	"fmt"
	"math"
	"unsafe"
)

// openBinary reads the header.
func (f *File) openBinary(head []byte) error {
	h := &header{}
	if why := h.decode(head, holdsOptions); why != "" {
		return f.errorf("%s", why)
	}
	if f.size != streamed && f.size != h.size() {
		return f.errorf("the binary file has %d bytes, and one with %s has %d: part of it is missing, or it is damaged",
			f.size, plural(h.count, "option"), h.size())
	}
	if f.columns == WithReference {
		if !h.reference {
			return f.errorf("the binary file has no reference prices")
		}
		if f.size == streamed {
			return f.errorf("the reference prices are behind the options: they can only be read from a regular file")
		}
	}
	f.binary, f.begin, f.count = h, headerSize, h.count
	return nil
}

// section is a part of a binary file: some of its blocks.
type section struct {
	file      *File
	next, end int64 // blocks
}

func newSection(f *File, part, parts int) *section {
	blocks := f.binary.blocks()
	return &section{file: f, next: share(blocks, part, parts), end: share(blocks, part+1, parts)}
}

// readSection reads the next blocks.
func readSection[T Float](s *section, blocks []Block[T], reference []float32, tally *Tally) (options int, err error) {
	blocks = blocks[:min(int64(len(blocks)), s.end-s.next)]
	if len(blocks) == 0 {
		return 0, nil
	}
	h := s.file.binary
	switch h.precision {
	case int64(unsafe.Sizeof(T(0))):
		err = readBlocks(s, blocks, tally)
	case 4:
		err = readOther[T, float32](s, blocks, tally)
	default:
		err = readOther[T, float64](s, blocks, tally)
	}
	if err != nil {
		return 0, err
	}
	options = int(min(int64(len(blocks))*Lanes, h.count-s.next*Lanes))
	for k := range blocks {
		if lane := unpriced(&blocks[k], min(Lanes, options-k*Lanes)); lane >= 0 {
			return 0, unpricedError(s.file, &blocks[k], lane, (s.next+int64(k))*Lanes+int64(lane))
		}
	}
	if reference != nil {
		reference = reference[:len(blocks)*Lanes]
		if err := s.read(bytesOf(reference), h.columnAt()+s.next*Lanes*4); err != nil {
			return 0, err
		}
		tally.Reference += checksum(reference, Lanes, s.next)
	}
	s.next += int64(len(blocks))
	return options, nil
}

// readBlocks reads blocks to where they are to be.
func readBlocks[T Float](s *section, blocks []Block[T], tally *Tally) error {
	if err := s.read(bytesOf(blocks), headerSize+s.next*s.file.binary.blockSize()); err != nil {
		return err
	}
	tally.Checksum += checksum(blocks, 1, s.next)
	return nil
}

// readOther reads blocks of another precision.
func readOther[T, U Float](s *section, blocks []Block[T], tally *Tally) error {
	begin := s.next
	defer func() { s.next = begin }()
	var piece [64]Block[U]
	for len(blocks) > 0 {
		read := piece[:min(len(piece), len(blocks))]
		if err := readBlocks(s, read, tally); err != nil {
			return err
		}
		for k := range read {
			convert(&blocks[k], &read[k])
		}
		s.next += int64(len(read))
		blocks = blocks[len(read):]
	}
	return nil
}

func convert[T, U Float](to *Block[T], from *Block[U]) {
	for i := range Lanes {
		to.Spot[i] = T(from.Spot[i])
		to.Strike[i] = T(from.Strike[i])
		to.Rate[i] = T(from.Rate[i])
		to.Volatility[i] = T(from.Volatility[i])
		to.Time[i] = T(from.Time[i])
	}
	to.Put = from.Put
}

// read reads exactly p.
func (s *section) read(p []byte, offset int64) error {
	n, err := readFull(s.file.source, p, offset)
	s.file.progress.Add(int64(n))
	if err != nil {
		return fmt.Errorf("%s: %w", s.file.name, err)
	}
	if n < len(p) {
		return s.file.errorf("the binary file ends after %d bytes, and one with %s has %d: part of it is missing",
			offset+int64(n), plural(s.file.count, "option"), s.file.binary.size())
	}
	return nil
}

// unpriced is the first lane, of those in use, whose option the formula has no price for, or whose
// type is unknown; -1 if there is none.
func unpriced[T Float](b *Block[T], used int) int {
	for i := range used {
		if !positive(b.Spot[i]) || !positive(b.Strike[i]) || !positive(b.Volatility[i]) || !positive(b.Time[i]) ||
			b.Rate[i]-b.Rate[i] != 0 || uint32(b.Put[i]) > 1 {
			return i
		}
	}
	return -1
}

// positive tells whether a number is, and finite.
func positive[T Float](x T) bool { return x > 0 && x-x == 0 }

func unpricedError[T Float](f *File, b *Block[T], lane int, option int64) error {
	for _, field := range []struct {
		name  string
		value T
	}{
		{fieldNames[spotField], b.Spot[lane]},
		{fieldNames[strikeField], b.Strike[lane]},
		{fieldNames[volatilityField], b.Volatility[lane]},
		{fieldNames[timeField], b.Time[lane]},
	} {
		if !positive(field.value) {
			return f.errorf("option %d: %s %v: a finite number that is greater than 0 is expected", option+1, field.name, field.value)
		}
	}
	if rate := float64(b.Rate[lane]); math.IsNaN(rate) || math.IsInf(rate, 0) {
		return f.errorf("option %d: %s %v: %v", option+1, fieldNames[rateField], rate, errFinite)
	}
	return f.errorf("option %d: %s %d: 0, a call, or 1, a put, is expected", option+1, fieldNames[typeField], b.Put[lane])
}
