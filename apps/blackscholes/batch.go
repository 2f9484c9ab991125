package main

import (
	"github.com/sublet-hpc/sublet/apps/blackscholes/portfolio"
	"github.com/sublet-hpc/sublet/offload"
)

// batch is options that are in memory at once, and their prices.
type batch[T portfolio.Float] struct {
	blocks    []portfolio.Block[T]
	prices    []T
	reference []float32 // nil: not wanted
	options   int

	// The same memory for executors, if there are any.
	in  *offload.Buffer[portfolio.Block[T]]
	out *offload.Buffer[T]
}

// newBatch makes room for so many options, in memory that executors can be given if there is a session.
func newBatch[T portfolio.Float](session *offload.Session, options int, reference bool) (*batch[T], error) {
	b := &batch[T]{}
	blocks := portfolio.Blocks(options)
	if reference {
		b.reference = make([]float32, blocks*portfolio.Lanes)
	}
	if session == nil {
		b.blocks, b.prices = make([]portfolio.Block[T], blocks), make([]T, blocks*portfolio.Lanes)
		return b, nil
	}
	var err error
	if b.in, err = offload.TryAlloc[portfolio.Block[T]](session, blocks); err != nil {
		return nil, err
	}
	if b.out, err = offload.TryAlloc[T](session, blocks*portfolio.Lanes); err != nil {
		return nil, err
	}
	b.blocks, b.prices = b.in.Slice(), b.out.Slice()
	return b, nil
}

// touch has the memory of the prices made by the kernel before anything is timed.
func (b *batch[T]) touch() { clear(b.prices) }
