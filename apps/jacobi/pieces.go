package main

import (
	"errors"
	"slices"
	"time"

	"github.com/sublet-hpc/sublet/apps/jacobi/holding"
	"github.com/sublet-hpc/sublet/apps/jacobi/linear"
	"github.com/sublet-hpc/sublet/offload"
)

// pieces are the rows that executors have been given, each piece as a constant. One that is not used any more is kept as
// long as memory allows, since its rows may go back to the executor that has them.
type pieces struct {
	session *offload.Session
	rows    holding.Rows
	lo, hi  int // the rank's rows
	vectors int // bytes that executors have besides
	limit   int // bytes of rows that are kept in memory, counted as often as they are there

	all     []*piece
	step    int
	used    int                 // pieces that this step has used
	before  int                 // pieces that the last one has
	changed bool                // executors have got something in this step that they had not in the last
	freed   []*offload.Constant // but invocations that have not ended name them

	// moves is how many steps have had other parts than those before, and seconds what making constants and taking rows
	// back took.
	moves   int
	seconds float64
}

// piece is rows that went to an executor together.
type piece struct {
	index     int
	span      offload.Span // as the split counts
	block     *linear.Block
	constant  *offload.Constant
	executors []*offload.Executor // that have had it
	step      int                 // the last in which it was used

	part     offload.Span      // of the last step that used it
	executor *offload.Executor // that did it
}

// slack is the part of a rank's rows that may be in memory twice because pieces are kept that are not used.
const slack = 0.25

func newPieces(session *offload.Session, rows holding.Rows, lo, hi, vectors int) *pieces {
	most := rows.Bytes(lo, hi)
	return &pieces{
		session: session, rows: rows, lo: lo, hi: hi, vectors: vectors,
		limit: most + int(slack*float64(most)) + rows.Held(), // what is held already stays
	}
}

// constant is what an invocation names for a part. It is made if that is the first time that the piece is sent.
func (p *pieces) constant(part offload.Part) (*offload.Constant, error) {
	known := p.find(part)
	if known == nil {
		made, err := p.make(part)
		if err != nil {
			return nil, err
		}
		known = made
	}
	if !slices.Contains(known.executors, part.Executor) {
		known.executors = append(known.executors, part.Executor)
	}
	if known.step != p.step {
		known.step = p.step
		p.used++
	}
	if span := (offload.Span{Lo: part.Lo, Hi: part.Hi}); known.part != span {
		known.part = span
		p.changed = true
	}
	known.executor = part.Executor
	return known.constant, nil
}

func (p *pieces) find(part offload.Part) *piece {
	for _, known := range p.all {
		if known.index == part.Index && known.span == part.Piece {
			return known
		}
	}
	return nil
}

// make makes the constant of a piece.
func (p *pieces) make(part offload.Part) (*piece, error) {
	defer p.stopwatch()()
	lo, hi := p.lo+part.Piece.Lo, p.lo+part.Piece.Hi
	bytes := p.rows.Bytes(lo, hi)
	if err := p.makeRoom(part.Executor, bytes); err != nil {
		return nil, err
	}
	builder, err := p.session.NewConstant(bytes)
	if err != nil { // too many of them, or too little memory
		if err := p.free(p.isIdle); err != nil {
			return nil, err
		}
		if builder, err = p.session.NewConstant(bytes); err != nil {
			return nil, err
		}
	}
	block, err := p.rows.Lend(lo, hi, builder.Bytes())
	if err != nil {
		return nil, err
	}
	made := &piece{index: part.Index, span: part.Piece, block: block, constant: builder.Seal(), step: -1}
	p.all = append(p.all, made)
	return made, nil
}

// isIdle tells whether a piece was used neither in this step nor in the last.
func (p *pieces) isIdle(known *piece) bool { return known.step < p.step-1 }

// makeRoom frees what an executor has, as far as it must to take so many bytes more.
func (p *pieces) makeRoom(e *offload.Executor, bytes int) error {
	has := int64(p.vectors + bytes)
	for _, known := range p.all {
		if slices.Contains(known.executors, e) {
			has += int64(known.constant.Size())
		}
	}
	if e.Memory() == 0 || has <= e.Memory() {
		return nil
	}
	// What it has not got in this step so far it has probably for the last time got in the one before.
	return p.free(func(known *piece) bool { return known.step < p.step && slices.Contains(known.executors, e) })
}

// stepped ends a step: what is not used any more is freed as far as memory is short.
func (p *pieces) stepped() error {
	changed := p.changed || p.used != p.before
	if p.changed && p.step > 0 {
		p.moves++
	}
	p.before, p.used, p.changed = p.used, 0, false
	p.step++
	if len(p.freed) > 0 {
		p.freed = slices.DeleteFunc(p.freed, func(c *offload.Constant) bool { return !errors.Is(c.Free(), offload.ErrBufferBusy) })
	}
	if !changed || p.before == len(p.all) {
		return nil
	}
	defer p.stopwatch()()
	for p.bytes() > p.limit {
		least := p.least()
		if least == nil {
			return nil
		}
		if err := p.free(func(known *piece) bool { return known == least }); err != nil {
			return err
		}
	}
	return nil
}

// bytes are those of rows in memory, counted as often as they are there.
func (p *pieces) bytes() int {
	sum := p.rows.Held()
	for _, known := range p.all {
		sum += known.constant.Size()
	}
	return sum
}

// least is the piece that is most easily done without, of those that the last step has not used: rather one whose rows
// are elsewhere, and that was not used for longer.
func (p *pieces) least() *piece {
	var best *piece
	spare := false
	for _, known := range p.all {
		if known.step == p.step-1 {
			continue
		}
		isSpare := p.rows.Spare(known.block)
		if best == nil || isSpare && !spare || isSpare == spare && known.step < best.step {
			best, spare = known, isSpare
		}
	}
	return best
}

// free frees some pieces.
func (p *pieces) free(which func(*piece) bool) error {
	var errs []error
	p.all = slices.DeleteFunc(p.all, func(known *piece) bool {
		if len(errs) > 0 || !which(known) {
			return false
		}
		if err := p.rows.TakeBack(known.block); err != nil {
			errs = append(errs, err)
			return false
		}
		if err := known.constant.Free(); errors.Is(err, offload.ErrBufferBusy) {
			p.freed = append(p.freed, known.constant)
		} else if err != nil {
			errs = append(errs, err)
		}
		return true
	})
	return errors.Join(errs...)
}

// rowsNow are how many rows each executor has done in the last step.
func (p *pieces) rowsNow() map[*offload.Executor]int {
	now := map[*offload.Executor]int{}
	for _, known := range p.all {
		if known.step == p.step-1 {
			now[known.executor] += known.part.Len()
		}
	}
	return now
}

// stopwatch returns what ends it.
func (p *pieces) stopwatch() func() {
	began := time.Now()
	return func() { p.seconds += time.Since(began).Seconds() }
}
