package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/sublet-hpc/sublet/apps/internal/collective"
	"github.com/sublet-hpc/sublet/apps/internal/program"
	"github.com/sublet-hpc/sublet/apps/jacobi/linear"
	"github.com/sublet-hpc/sublet/apps/jacobi/options"
	"github.com/sublet-hpc/sublet/apps/jacobi/report"
	"github.com/sublet-hpc/sublet/offload"
)

// solution is what solving the system once has given, the same on all ranks but for leased, lost
// and losses, which are the rank's own.
type solution struct {
	x            []float64
	iterations   int
	residual     float64
	seconds      float64 // of the iterations
	setupSeconds float64
	leased       []report.Executor
	lost         int
	losses       []report.Loss
}

// solver is one rank's part in solving the system once: its rows, divided between itself and its
// executors, and the two vectors.
//
// x is read, by the rank and all of its executors, while everybody writes parts of next; after
// each iteration they change places. So nobody ever reads what somebody writes.
type solver struct {
	world   *collective.World
	problem *problem
	lo, hi  int // the rank's rows
	parts   *collective.Parts

	session *offload.Session // nil: no executors
	lease   *offload.Lease
	split   *offload.Split
	work    offload.Work
	remotes []*offload.Constant // the rows of each of the split's parts

	x, next  vector
	blocks   []*linear.Block // rows that the rank has itself
	diagonal []float64       // of all of the rank's rows
	largest  float64         // max|b| of the whole system
}

// solve solves the system with a percentage of each rank's rows on executors. Its error is the same
// on all ranks, unless it is an MPIError.
func solve(ctx context.Context, world *collective.World, p *problem, o *options.Options, percent float64, library string) (*solution, error) {
	start := time.Now()
	s := &solver{world: world, problem: p}
	out, err := s.solve(ctx, o, percent, library, start)
	closing := s.close()
	if err != nil {
		return nil, err // closing has gone wrong for the same reason, if it has
	}
	return out, world.Agree(program.OneLine(closing))
}

func (s *solver) solve(ctx context.Context, o *options.Options, percent float64, library string, start time.Time) (*solution, error) {
	if err := s.world.Agree(program.OneLine(s.setUp(ctx, o, percent, library))); err != nil {
		return nil, err
	}
	// The first step gives the executors their rows and touches all memory. It is not counted,
	// and its result is overwritten.
	if err := s.world.Agree(program.OneLine(adviseMemory(s.split.Step(ctx, s.work)))); err != nil {
		return nil, err
	}
	maxima := []float64{s.largest, time.Since(start).Seconds()}
	if err := s.world.Max(maxima); err != nil {
		return nil, err
	}
	s.largest = maxima[0]
	out := &solution{setupSeconds: maxima[1]}

	progress := newProgress(s.world, o, percent)
	err := s.iterate(ctx, o, out, progress)
	progress.Close()
	if err != nil {
		return nil, err
	}
	out.x = append([]float64(nil), s.x.values[:s.problem.size]...)
	s.describeLease(out)
	return out, nil
}

// adviseMemory names this program's option where executors can not take what they would get.
func adviseMemory(err error) error {
	if errors.Is(err, offload.ErrPayloadTooLarge) {
		return fmt.Errorf("the rows and vectors of an executor need more memory than it has; more executors (--executors), a smaller part of the rows (--offload), or more memory (--executor-memory): %w", err)
	}
	return err
}

// setUp does what needs no other rank.
func (s *solver) setUp(ctx context.Context, o *options.Options, percent float64, library string) error {
	var err error
	lengths := make([]int, s.world.Size())
	for rank := range lengths {
		lengths[rank] = s.problem.bounds[rank+1] - s.problem.bounds[rank]
	}
	if s.parts, err = s.world.Parts(lengths); err != nil {
		return err
	}
	s.lo, s.hi = s.problem.own(s.world)
	if percent > 0 {
		if s.session, err = offload.Connect(ctx); err != nil {
			return err
		}
		s.lease, err = s.session.Lease(ctx, offload.Want{Executors: o.Executors, Library: library, Memory: int64(o.ExecutorMemory), Oversubscribe: true})
		if err != nil {
			return err
		}
	}
	for _, v := range []*vector{&s.x, &s.next} {
		if *v, err = newVector(s.session, linear.Stride(s.problem.size)); err != nil {
			return err
		}
	}
	plan := offload.Plan{Items: s.hi - s.lo, Share: percent / 100, Lease: s.lease, Weights: s.problem.weights, Resident: true}
	if s.split, err = s.session.Split(ctx, plan); err != nil {
		return err
	}
	s.work = offload.Work{Remote: s.remote, Local: s.local}
	return s.place()
}

// place makes the rank's own rows and the constants that its executors get theirs by.
func (s *solver) place() error {
	s.diagonal = make([]float64, s.hi-s.lo)
	enter := func(block *linear.Block) {
		copy(s.diagonal[block.First-s.lo:], block.Diagonal)
		s.largest = math.Max(s.largest, linear.MaxAbs(block.RHS))
	}
	lo, hi := s.split.Local()
	own := s.problem.rows.Block(s.lo+lo, s.lo+hi)
	enter(own)
	s.blocks = []*linear.Block{own}
	for _, part := range s.split.Parts() {
		builder, err := s.session.NewConstant(s.problem.rows.Bytes(s.lo+part.Lo, s.lo+part.Hi))
		if err != nil {
			return err
		}
		block, err := s.problem.rows.Place(s.lo+part.Lo, s.lo+part.Hi, builder.Bytes())
		if err != nil {
			return err
		}
		enter(block)
		s.remotes = append(s.remotes, builder.Seal())
	}
	return nil
}

// remote sends x to the executor of a part, which writes its rows of next.
func (s *solver) remote(ctx context.Context, part offload.Part) offload.Future {
	return part.Executor.Invoke(ctx, s.problem.function, s.x.buffer, s.next.buffer.Sub(s.lo+part.Lo, s.lo+part.Hi), s.remotes[part.Index])
}

// local computes rows of next here: the rank's own, or those of an executor that was lost. The
// latter are generated when they are needed for the first time, if the rank has not had them all along.
func (s *solver) local(lo, hi int) error {
	lo, hi = s.lo+lo, s.lo+hi
	for _, block := range s.blocks {
		if block.First <= lo && hi <= block.First+block.Rows {
			block.Sweep(s.next.values, s.x.values, lo, hi)
			return nil
		}
	}
	block := s.problem.rows.Block(lo, hi)
	s.blocks = append(s.blocks, block)
	block.Sweep(s.next.values, s.x.values, lo, hi)
	return nil
}

func (s *solver) describeLease(out *solution) {
	if s.lease == nil {
		return
	}
	out.lost = s.lease.Lost()
	for _, loss := range s.lease.Losses() {
		out.losses = append(out.losses, report.Loss{Rank: s.world.Rank(), Text: loss.Error()})
	}
	rows := make(map[int]int)
	for _, part := range s.split.Parts() {
		rows[part.Executor.Index()] = part.Hi - part.Lo
	}
	for _, e := range s.lease.Executors() {
		path := e.Path()
		out.leased = append(out.leased, report.Executor{
			Rank: s.world.Rank(), Index: e.Index(), Node: e.Node(), Core: e.Core(), Oversubscribed: e.Oversubscribed(),
			Transport: path.Transport, Provider: path.Provider, Rows: rows[e.Index()], Memory: e.Memory(),
		})
	}
}

// close gives back all that the solver has; x and next must not be used any more.
func (s *solver) close() error {
	if s.session != nil {
		return s.session.Close() // with lease, constants and vectors
	}
	if err := s.x.unmap(); err != nil {
		return err
	}
	return s.next.unmap()
}

// vector is memory outside the Go heap, where networks can register it: a buffer of the session,
// or without one a mapping.
type vector struct {
	values  []float64
	buffer  *offload.Buffer[float64]
	mapping []byte
}

func newVector(session *offload.Session, n int) (vector, error) {
	if session != nil {
		buffer, err := offload.TryAlloc[float64](session, n)
		if err != nil {
			return vector{}, err
		}
		return vector{values: buffer.Slice(), buffer: buffer}, nil
	}
	mapping, err := unix.Mmap(-1, 0, 8*n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return vector{}, fmt.Errorf("memory for a vector of %d numbers: %w", n, err)
	}
	return vector{values: unsafe.Slice((*float64)(unsafe.Pointer(&mapping[0])), n), mapping: mapping}, nil
}

func (v *vector) unmap() error {
	if v.mapping == nil {
		return nil
	}
	err := unix.Munmap(v.mapping)
	*v = vector{}
	return err
}
