package main

import (
	"context"
	"encoding/binary"
	"os"
	"sync"

	"github.com/sublet-hpc/sublet/apps/blackscholes/portfolio"
	"github.com/sublet-hpc/sublet/apps/internal/program"
)

// open opens the file of options on all ranks, or on rank 0 alone what only one can read, as a pipe.
func (r *job[T]) open() error {
	if r.o.Input == "" {
		r.count = int64(r.o.Size)
		return nil
	}
	columns := portfolio.Inputs
	if r.o.Check {
		columns = portfolio.WithReference
	}
	info, err := os.Stat(r.o.Input)
	if r.world.Rank() == 0 || err != nil || info.Mode().IsRegular() {
		r.file, err = portfolio.Open(r.o.Input, columns)
	}
	if err := r.world.Agree(program.OneLine(err)); err != nil {
		return soleRank(err)
	}
	var count []byte
	if r.world.Rank() == 0 {
		count = binary.BigEndian.AppendUint64(nil, uint64(r.file.Count()))
	}
	if count, err = r.world.Share(count, 0); err != nil {
		return err
	}
	r.count = int64(binary.BigEndian.Uint64(count))
	return nil
}

// parts is how many parts the file is read in: as many for each rank, but one if only one can read it.
func (r *job[T]) parts() int {
	if r.file == nil || r.file.Size() < 0 {
		return 1
	}
	ranks := r.world.Size()
	return (r.file.Parts(partBytes) + ranks - 1) / ranks * ranks
}

// stream reads, prices and writes options batch by batch.
func (r *job[T]) stream(ctx context.Context) (err error) {
	ctx, end := context.WithCancel(ctx)
	defer end()
	source := newSource[T](r.file, r.world.Rank(), r.world.Size(), r.parts())
	var reading sync.WaitGroup
	defer reading.Wait()
	defer func() {
		end()
		if err != nil && r.file != nil && r.file.Size() < 0 { // nothing else ends the reading of a pipe in which nothing comes
			_ = r.file.Close()
		}
	}()
	set := func() error {
		// No rank has more options than the file, and none is given memory for more than that.
		room := int(min(batchOptions, max(r.count, 1)))
		for range batches {
			b, err := newBatch[T](r.pricer.session, room, r.o.Check)
			if err != nil {
				return err
			}
			b.touch()
			source.free <- b
		}
		if r.file != nil {
			reading.Go(func() { source.run(ctx) }) // while executors are leased
		} else {
			close(source.deliveries)
		}
		if err := r.pricer.begin(ctx, room, int((r.count-1)/int64(r.world.Size()*room))+1); err != nil { // what a pipe promises may be near the largest number
			return err
		}
		var err error
		r.sink, err = newSink[T](r.world, r.output, r.o.Binary, r.count)
		return err
	}
	if err := r.world.Agree(program.OneLine(set())); err != nil {
		return err
	}
	progress := newProgress(r.world, "pricing", r.count)
	defer progress.Close()
	if err := r.waves(ctx, source, progress.Done); err != nil {
		return err
	}
	end()
	reading.Wait()
	r.reading, r.tally = source.took, source.tally
	return r.verify()
}

// waves prices wave after wave. While the ranks exchange where the one before is to be written, its prices have been
// formatted, and the next is being read.
func (r *job[T]) waves(ctx context.Context, source *source[T], done func(options int64)) error {
	var failed error
	var options int64
	for wave := 0; ; wave++ {
		if failed == nil {
			failed = r.wave(ctx, source)
		}
		if wave == 0 {
			continue
		}
		more, priced, err := r.sink.exchange(failed)
		if err != nil {
			return err
		}
		options += priced
		done(options)
		if !more {
			return nil
		}
	}
}

// wave prices the rank's part of a wave.
func (r *job[T]) wave(ctx context.Context, source *source[T]) error {
	for delivery := range source.deliveries {
		switch {
		case delivery.err != nil:
			return program.OneLine(delivery.err)
		case delivery.end:
			r.sink.add(piece[T]{end: true, more: delivery.more})
			return nil
		}
		b := delivery.batch
		if err := r.pricer.price(ctx, b); err != nil {
			return err
		}
		p := piece[T]{prices: b.prices[:b.options], release: func() { source.free <- b }}
		if r.o.Check {
			p.reference = b.reference
		}
		r.sink.add(p)
	}
	r.sink.add(piece[T]{end: true}) // the rank has no part of it
	return nil
}

// verify compares what all ranks have read with what the file says of itself.
func (r *job[T]) verify() error {
	all, err := r.addUp(r.tally)
	if err != nil {
		return err
	}
	if r.world.Rank() == 0 {
		err = r.file.Verify(all)
	}
	return soleRank(r.world.Agree(err))
}
