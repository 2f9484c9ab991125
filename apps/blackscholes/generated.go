package main

import (
	"context"
	"fmt"
	"time"
	"unsafe"

	"github.com/sublet-hpc/sublet/apps/blackscholes/portfolio"
	"github.com/sublet-hpc/sublet/apps/internal/program"
)

// chunks are the parts of generated options that ranks have: chunk c is of wave c/ranks and of rank c mod ranks, so that
// they can be written wave by wave.
type chunks struct {
	count       int64
	rank, ranks int
	size        int64 // of each but the last, a multiple of Lanes
}

// divide divides options into chunks of about batchOptions, as many for each rank.
func divide(count int64, rank, ranks int) chunks {
	all := int64(ranks)
	waves := (count + all*batchOptions - 1) / (all * batchOptions)
	size := (count + all*waves - 1) / (all * waves)
	return chunks{count, rank, ranks, (size + portfolio.Lanes - 1) / portfolio.Lanes * portfolio.Lanes}
}

// chunk is the rank's chunk of a wave; it may be empty.
func (c chunks) chunk(wave int) (first int64, options int) {
	first = min((int64(wave)*int64(c.ranks)+int64(c.rank))*c.size, c.count)
	return first, int(min(c.size, c.count-first))
}

// waves is how many there are, for all ranks.
func (c chunks) waves() int {
	return int((c.count + int64(c.ranks)*c.size - 1) / (int64(c.ranks) * c.size))
}

// own is how many options the rank has.
func (c chunks) own() (options int) {
	for wave := range c.waves() {
		_, n := c.chunk(wave)
		options += n
	}
	return options
}

// generated prices options that are generated in memory: all of them at once, as often as was asked for.
func (r *job[T]) generated(ctx context.Context) error {
	c := divide(r.count, r.world.Rank(), r.world.Size())
	if err := program.CheckMemory(r.world, r.memory(c.own())); err != nil {
		return fmt.Errorf("--size %d: %w; use fewer options, more nodes, or a file (--generate, then --input), which is read in parts", r.count, err)
	}
	var whole *batch[T]
	set := func() error {
		var err error
		if r.sink, err = newSink[T](r.world, r.output, r.o.Binary, r.count); err != nil {
			return err
		}
		if whole, err = newBatch[T](r.pricer.session, c.own(), r.o.Check); err != nil {
			return err
		}
		whole.options = c.own()
		ready := make(chan struct{})
		go func() { // while executors are leased
			defer close(ready)
			r.fill(c, whole)
		}()
		err = r.pricer.begin(ctx, max(whole.options, 1), 1)
		<-ready
		return err
	}
	if err := r.world.Agree(program.OneLine(set())); err != nil {
		return err
	}
	progress := newProgress(r.world, "pricing", r.count*int64(r.o.Repeat))
	defer progress.Close()
	for pass := range r.o.Repeat {
		if err := r.world.Barrier(); err != nil { // all ranks begin at once
			return err
		}
		if err := r.world.Agree(r.pricer.pass(ctx, whole, pass)); err != nil {
			return err
		}
		progress.Done(r.count * int64(pass+1))
	}
	return r.writeOut(c, whole)
}

// memory is what so many options and their prices take, in bytes.
func (r *job[T]) memory(options int) float64 {
	var price T
	var block portfolio.Block[T]
	each := float64(unsafe.Sizeof(block))/portfolio.Lanes + float64(unsafe.Sizeof(price))
	if r.o.Check {
		each += 4 // the reference price
	}
	return float64(options) * each
}

// fill generates the rank's options.
func (r *job[T]) fill(c chunks, whole *batch[T]) {
	start := time.Now()
	at := 0
	for wave := range c.waves() {
		first, n := c.chunk(wave)
		var reference []float32
		if r.o.Check {
			reference = whole.reference[at:]
		}
		portfolio.Generate(whole.blocks[at/portfolio.Lanes:], reference, first, n, r.o.Seed)
		at += n
	}
	whole.touch()
	r.reading = time.Since(start)
}

// writeOut compares and writes the prices.
func (r *job[T]) writeOut(c chunks, whole *batch[T]) error {
	at := 0
	for wave := range c.waves() {
		_, n := c.chunk(wave)
		p := piece[T]{prices: whole.prices[at : at+n]}
		if r.o.Check {
			p.reference = whole.reference[at:]
		}
		r.sink.add(p)
		r.sink.add(piece[T]{end: true, more: wave+1 < c.waves()})
		at += n
		if _, _, err := r.sink.exchange(nil); err != nil {
			return err
		}
	}
	return nil
}
