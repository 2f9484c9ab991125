package main

import (
	"context"
	"sync"
	"time"

	"github.com/sublet-hpc/sublet/apps/blackscholes/output"
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

// text is the rank's part of a wave, formatted.
type text struct {
	bytes   []byte
	options int
	more    bool
}

// placed is a text whose place in the file is known.
type placed struct {
	bytes  []byte
	offset int64
}

// sink is what becomes of prices: they are compared with the reference, formatted, and written, each by a
// goroutine, while the rank prices more. Where in the file a rank's part of a wave goes depends on how long the
// parts before it are, so after each wave all ranks exchange that, and whether any has failed.
type sink[T portfolio.Float] struct {
	world  *collective.World
	file   *output.File // nil: nothing is written
	format func(text []byte, prices []T) []byte
	offset int64 // of the next wave
	parts  *collective.Parts
	values []float64

	pieces  chan piece[T]
	texts   chan text
	placed  chan placed
	spare   chan []byte
	end     context.CancelFunc
	ended   context.Context
	running sync.WaitGroup

	mu       sync.Mutex
	failed   error // in writing
	took     time.Duration
	checked  check
	finished bool
}

// said is how many numbers each rank says in an exchange.
const said = 4

// newSink begins behind a header of the file.
func newSink[T portfolio.Float](world *collective.World, file *output.File, header []byte, format func([]byte, []T) []byte) (*sink[T], error) {
	s := &sink[T]{
		world: world, file: file, format: format, offset: int64(len(header)), values: make([]float64, said*world.Size()),
		pieces: make(chan piece[T], batches), texts: make(chan text, 2), placed: make(chan placed, 2), spare: make(chan []byte, 4),
	}
	lengths := make([]int, world.Size())
	for rank := range lengths {
		lengths[rank] = said
	}
	var err error
	if s.parts, err = world.Parts(lengths); err != nil {
		return nil, err
	}
	s.ended, s.end = context.WithCancel(context.Background())
	s.running.Go(s.formatAll)
	s.running.Go(s.writeAll)
	if file != nil && world.Rank() == 0 {
		s.placed <- placed{header, 0}
	}
	return s, nil
}

// add hands over a piece.
func (s *sink[T]) add(p piece[T]) { s.pieces <- p }

// exchange tells the other ranks how long this rank's part of the oldest wave is, or that it has failed, and has the
// part written. It returns whether any rank has a part of the wave after that, how many options the wave had, and an
// error on all ranks if any has failed.
func (s *sink[T]) exchange(failed error) (more bool, options int64, err error) {
	var own text
	if failed == nil {
		own = <-s.texts
		failed = s.failure()
	}
	me := s.values[said*s.world.Rank():][:said]
	me[0], me[1], me[2], me[3] = float64(len(own.bytes)), float64(own.options), 0, 0
	if own.more {
		me[2] = 1
	}
	if failed != nil {
		me[3] = 1
	}
	if err := s.world.Allgather(s.values, s.parts); err != nil {
		return false, 0, err
	}
	place, anyFailed := s.offset, false
	for rank := range s.world.Size() {
		said := s.values[said*rank:][:said]
		if rank < s.world.Rank() {
			place += int64(said[0])
		}
		s.offset += int64(said[0])
		options += int64(said[1])
		more = more || said[2] != 0
		anyFailed = anyFailed || said[3] != 0
	}
	if anyFailed {
		return false, 0, s.world.Agree(failed)
	}
	if len(own.bytes) > 0 {
		s.placed <- placed{own.bytes, place}
	}
	return more, options, nil
}

// formatAll formats and compares pieces.
func (s *sink[T]) formatAll() {
	defer close(s.texts)
	var now text
	for p := range s.pieces {
		if p.end {
			now.more = p.more
			select {
			case s.texts <- now:
			case <-s.ended.Done():
				return
			}
			now = text{}
			continue
		}
		start := time.Now()
		if p.reference != nil {
			compare(&s.checked, p.reference, p.prices)
		}
		if s.file != nil {
			if now.bytes == nil {
				now.bytes = s.buffer()
			}
			now.bytes = s.format(now.bytes, p.prices)
		}
		now.options += len(p.prices)
		if p.release != nil {
			p.release()
		}
		s.spent(time.Since(start))
	}
}

// buffer is memory for a text: some that is no longer used, if there is any.
func (s *sink[T]) buffer() []byte {
	select {
	case b := <-s.spare:
		return b[:0]
	default:
		return []byte{}
	}
}

// writeAll writes texts to their places.
func (s *sink[T]) writeAll() {
	for p := range s.placed {
		start := time.Now()
		if s.failure() == nil {
			if err := s.file.WriteAt(p.bytes, p.offset); err != nil {
				s.mu.Lock()
				s.failed = err
				s.mu.Unlock()
			}
		}
		select {
		case s.spare <- p.bytes:
		default:
		}
		s.spent(time.Since(start))
	}
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
