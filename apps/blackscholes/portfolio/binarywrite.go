package portfolio

import (
	"fmt"
	"unsafe"
)

// BinaryOptions writes options in the binary form, in parts that several ranks may write at the same
// time, each to an Output of its own for the same file.
type BinaryOptions[T Float] struct {
	to     *Output
	header header
	tally  Tally
}

// NewBinaryOptions returns a writer of count options, with their reference prices or without.
func NewBinaryOptions[T Float](to *Output, count int64, columns Columns) (*BinaryOptions[T], error) {
	if count < 0 || count > maxCount {
		return nil, fmt.Errorf("writing %s: %d options: from 0 to %d can be written", to.path, count, int64(maxCount))
	}
	return &BinaryOptions[T]{to: to, header: header{
		contents: holdsOptions, precision: int64(unsafe.Sizeof(T(0))), reference: columns == WithReference, count: count,
	}}, nil
}

// Put writes n options, the first of which is option first, a multiple of Lanes. The last block is
// padded, and is the file's last if it is. There are Lanes places of reference for each block; without
// reference prices it is not looked at.
func (w *BinaryOptions[T]) Put(first int64, n int, blocks []Block[T], reference []float32) error {
	h := &w.header
	end := first + int64(n)
	if first%Lanes != 0 || end%Lanes != 0 && end != h.count || end > h.count {
		return fmt.Errorf("writing %s: options %d to %d of %d are not whole blocks", w.to.path, first, end, h.count)
	}
	blocks = blocks[:Blocks(n)]
	block := first / Lanes
	if _, err := w.to.WriteAt(bytesOf(blocks), headerSize+block*h.blockSize()); err != nil {
		return err
	}
	w.tally.Options += int64(n)
	w.tally.Checksum += checksum(blocks, 1, block)
	if h.reference {
		reference = reference[:len(blocks)*Lanes]
		if _, err := w.to.WriteAt(bytesOf(reference), h.columnAt()+block*Lanes*4); err != nil {
			return err
		}
		w.tally.Reference += checksum(reference, Lanes, block)
	}
	return nil
}

// Tally is what has been put so far.
func (w *BinaryOptions[T]) Tally() Tally { return w.tally }

// Finish writes the header, after all ranks have put what they have; their tallies are added up. One
// rank does that.
func (w *BinaryOptions[T]) Finish(all Tally) error {
	if all.Options != w.header.count {
		return fmt.Errorf("writing %s: %s were put, of %d", w.to.path, plural(all.Options, "option"), w.header.count)
	}
	h := w.header
	h.checksum, h.column = all.Checksum, all.Reference
	_, err := w.to.WriteAt(h.encode(), 0)
	return err
}
