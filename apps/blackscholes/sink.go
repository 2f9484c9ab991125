package main

import (
	"context"
	"sync"
	"time"

	"github.com/sublet-hpc/sublet/apps/blackscholes/portfolio"
	"github.com/sublet-hpc/sublet/apps/internal/collective"
)

// piece is prices on their way into the file, or the end of the rank's part of a wave.
type piece[T portfolio.Float] struct {
	prices    []T
	reference []float32
	release   func() // called when prices and reference are no longer needed; may be nil
	end       bool
	more      bool // with end: the rank has a part of the next wave
}

// written is the rank's part of a wave, as it will be written: text, or prices in the binary form.
type written[T portfolio.Float] struct {
	text    []byte
	prices  []T
	options int
	more    bool
	// Its place in the file, when that is known.
	offset int64 // in bytes
	first  int64 // option
}

// sink is what becomes of prices: they are compared with the reference, formatted, and written, each by a
// goroutine, while the rank prices more. Where in the file a rank's part of a wave goes depends on how long the
// parts before it are, so after each wave all ranks exchange that, and whether any has failed.
type sink[T portfolio.Float] struct {
	world  *collective.World
	file   *portfolio.Output          // nil: nothing is written
	binary *portfolio.BinaryPrices[T] // nil: text
	offset int64                      // of the next wave, in bytes
	first  int64                      // and its first option
	parts  *collective.Parts
	values []float64

	pieces    chan piece[T]
	formatted chan written[T]
	placed    chan written[T]
	spare     chan written[T] // whose memory can be used again
	end       context.CancelFunc
	ended     context.Context
	running   sync.WaitGroup

	mu       sync.Mutex
	failed   error // in writing
	took     time.Duration
	checked  check
	finished bool
}

// said is how many numbers each rank says in an exchange.
const said = 4

// newSink writes prices of count options to a file, in which this rank has nothing written yet.
func newSink[T portfolio.Float](world *collective.World, file *portfolio.Output, binary bool, count int64) (*sink[T], error) {
	s := &sink[T]{
		world: world, file: file, values: make([]float64, said*world.Size()),
		pieces: make(chan piece[T], batches), formatted: make(chan written[T], 2), placed: make(chan written[T], 2), spare: make(chan written[T], 4),
	}
	var err error
	if file != nil && binary {
		if s.binary, err = portfolio.NewBinaryPrices[T](file, count); err != nil {
			return nil, err
		}
	}
	lengths := make([]int, world.Size())
	for rank := range lengths {
		lengths[rank] = said
	}
	if s.parts, err = world.Parts(lengths); err != nil {
		return nil, err
	}
	s.ended, s.end = context.WithCancel(context.Background())
	s.running.Go(s.formatAll)
	s.running.Go(s.writeAll)
	if file != nil && !binary {
		header := portfolio.AppendCount(nil, count)
		s.offset = int64(len(header))
		if world.Rank() == 0 {
			s.placed <- written[T]{text: header}
		}
	}
	return s, nil
}

// add hands over a piece.
func (s *sink[T]) add(p piece[T]) { s.pieces <- p }

// exchange tells the other ranks how long this rank's part of the oldest wave is, or that it has failed, and has the
// part written. It returns whether any rank has a part of the wave after that, how many options the wave had, and an
// error on all ranks if any has failed.
func (s *sink[T]) exchange(failed error) (more bool, options int64, err error) {
	var own written[T]
	if failed == nil {
		own = <-s.formatted
		failed = s.failure()
	}
	me := s.values[said*s.world.Rank():][:said]
	me[0], me[1], me[2], me[3] = float64(len(own.text)), float64(own.options), 0, 0
	if own.more {
		me[2] = 1
	}
	if failed != nil {
		me[3] = 1
	}
	if err := s.world.Allgather(s.values, s.parts); err != nil {
		return false, 0, err
	}
	own.offset, own.first = s.offset, s.first
	anyFailed := false
	for rank := range s.world.Size() {
		said := s.values[said*rank:][:said]
		if rank < s.world.Rank() {
			own.offset += int64(said[0])
			own.first += int64(said[1])
		}
		s.offset += int64(said[0])
		options += int64(said[1])
		more = more || said[2] != 0
		anyFailed = anyFailed || said[3] != 0
	}
	if anyFailed {
		return false, 0, s.world.Agree(failed)
	}
	s.first += options
	if s.file != nil && own.options > 0 {
		s.placed <- own
	}
	return more, options, nil
}

// formatAll formats and compares pieces.
func (s *sink[T]) formatAll() {
	defer close(s.formatted)
	now := s.memory()
	for p := range s.pieces {
		if p.end {
			now.more = p.more
			select {
			case s.formatted <- now:
			case <-s.ended.Done():
				return
			}
			now = s.memory()
			continue
		}
		start := time.Now()
		if p.reference != nil {
			compare(&s.checked, p.reference, p.prices)
		}
		switch {
		case s.binary != nil:
			now.prices = append(now.prices, p.prices...)
		case s.file != nil:
			now.text = portfolio.AppendPrices(now.text, p.prices)
		}
		now.options += len(p.prices)
		if p.release != nil {
			p.release()
		}
		s.spent(time.Since(start))
	}
}

// memory is nothing yet, in memory that is no longer used, if there is any.
func (s *sink[T]) memory() written[T] {
	select {
	case w := <-s.spare:
		return written[T]{text: w.text[:0], prices: w.prices[:0]}
	default:
		return written[T]{}
	}
}

// writeAll writes to the file what has got its place.
func (s *sink[T]) writeAll() {
	for w := range s.placed {
		start := time.Now()
		if s.failure() == nil {
			if err := s.write(w); err != nil {
				s.mu.Lock()
				s.failed = err
				s.mu.Unlock()
			}
		}
		select {
		case s.spare <- w:
		default:
		}
		s.spent(time.Since(start))
	}
}

func (s *sink[T]) write(w written[T]) error {
	if s.binary != nil {
		return s.binary.Put(w.first, w.prices)
	}
	_, err := s.file.WriteAt(w.text, w.offset)
	return err
}

func (s *sink[T]) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed
}

func (s *sink[T]) spent(took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.took += took
}

// close ends the goroutines, after all that was placed has been written, and returns what went wrong in writing. A second
// call does nothing.
func (s *sink[T]) close() error {
	if !s.finished {
		s.finished = true
		s.end()
		close(s.pieces)
		close(s.placed)
		s.running.Wait()
	}
	return s.failure()
}
