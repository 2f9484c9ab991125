package main

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/sublet-hpc/sublet/apps/blackscholes/portfolio"
)

// Options are read in parts of about partBytes bytes, each by one rank, and priced in batches of at most batchOptions.
const (
	partBytes    = 48 << 20 // of text in PARSEC's form these are 800,000
	batchOptions = 1 << 20
	// batches that a rank has: one is being read, one priced, one formatted.
	batches = 3
)

// delivery is what the reading says: a batch; or that the rank's part of a wave has ended; or that it has failed.
type delivery[T portfolio.Float] struct {
	batch *batch[T]
	end   bool
	more  bool // with end: the rank has a part of the next wave
	err   error
}

// source reads a rank's parts of a file ahead of their pricing. In each wave each rank reads one part; the parts of
// a wave follow each other in the order of ranks, and waves in theirs.
type source[T portfolio.Float] struct {
	file        *portfolio.File // nil: this rank reads nothing
	rank, ranks int
	parts       int
	deliveries  chan delivery[T]
	free        chan *batch[T]
	tally       portfolio.Tally // when the last delivery has been made
	took        time.Duration   // the same
}

func newSource[T portfolio.Float](file *portfolio.File, rank, ranks, parts int) *source[T] {
	return &source[T]{file: file, rank: rank, ranks: ranks, parts: parts, deliveries: make(chan delivery[T], batches), free: make(chan *batch[T], batches)}
}

// run makes all deliveries, and ends early if ctx does.
func (s *source[T]) run(ctx context.Context) {
	defer close(s.deliveries)
	for part := s.rank; part < s.parts; part += s.ranks {
		if err := s.part(ctx, part); err != nil {
			s.deliver(ctx, delivery[T]{err: err})
			return
		}
	}
}

// part reads one part of the file.
func (s *source[T]) part(ctx context.Context, part int) error {
	reader, err := portfolio.NewReader[T](s.file, part, s.parts)
	if err != nil {
		return err
	}
	endless := s.file.Size() < 0 // nobody knows how long it is: each batch is a wave
	for {
		var b *batch[T]
		select {
		case b = <-s.free:
		case <-ctx.Done():
			return ctx.Err()
		}
		start := time.Now()
		b.options, err = reader.Read(b.blocks, b.reference)
		s.took += time.Since(start)
		if errors.Is(err, io.EOF) {
			s.free <- b
			s.tally.Add(reader.Tally())
			s.deliver(ctx, delivery[T]{end: true, more: part+s.ranks < s.parts})
			return nil
		}
		if err != nil {
			return err
		}
		s.deliver(ctx, delivery[T]{batch: b})
		if endless {
			s.deliver(ctx, delivery[T]{end: true, more: true})
		}
	}
}

func (s *source[T]) deliver(ctx context.Context, d delivery[T]) {
	select {
	case s.deliveries <- d:
	case <-ctx.Done():
	}
}
