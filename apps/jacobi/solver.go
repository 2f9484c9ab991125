package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/sublet-hpc/sublet/apps/internal/collective"
	"github.com/sublet-hpc/sublet/apps/internal/program"
	"github.com/sublet-hpc/sublet/apps/internal/share"
	"github.com/sublet-hpc/sublet/apps/jacobi/holding"
	"github.com/sublet-hpc/sublet/apps/jacobi/linear"
	"github.com/sublet-hpc/sublet/apps/jacobi/options"
	"github.com/sublet-hpc/sublet/apps/jacobi/report"
	"github.com/sublet-hpc/sublet/offload"
)

// solution is what solving the system once has given, the same on all ranks but for what executors did, which is
// the rank's own.
type solution struct {
	x            []float64
	iterations   int
	residual     float64
	seconds      float64 // of the iterations
	setupSeconds float64
	offloaded    report.Offloaded
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
	share   share.Share

	session *offload.Session // nil: no executors
	lease   *offload.Lease   // of a fixed share
	split   *offload.Split
	work    offload.Work
	off     string // why nothing is offloaded, if it is not the split that says so
	trace   *os.File

	x, next vector
	rows    holding.Rows
	pieces  *pieces // of the rows, that executors have
	largest float64 // max|b| of the whole system
	placing float64 // seconds of the set-up in which pieces were made
	failed  error   // in making a part's constants
}

// solve solves the system with a share of each rank's rows on executors. Its error is the same
// on all ranks, unless it is an MPIError.
func solve(ctx context.Context, world *collective.World, p *problem, o *options.Options, part share.Share, library string) (*solution, error) {
	start := time.Now()
	s := &solver{world: world, problem: p, share: part}
	out, err := s.solve(ctx, o, library, start)
	closing := s.close()
	if err != nil {
		return nil, err // closing has gone wrong for the same reason, if it has
	}
	return out, world.Agree(program.OneLine(closing))
}

func (s *solver) solve(ctx context.Context, o *options.Options, library string, start time.Time) (*solution, error) {
	if err := s.world.Agree(program.OneLine(s.setUp(ctx, o, library))); err != nil {
		return nil, err
	}
	// The first step gives the executors their rows and touches all memory. It is not counted,
	// and its result is overwritten.
	if err := s.world.Agree(program.OneLine(adviseMemory(s.step(ctx)))); err != nil {
		return nil, err
	}
	s.placing = s.pieces.seconds
	maxima := []float64{s.rows.Facts().Largest, time.Since(start).Seconds()}
	if err := s.world.Max(maxima); err != nil {
		return nil, err
	}
	s.largest = maxima[0]
	out := &solution{setupSeconds: maxima[1]}

	progress := newProgress(s.world, o, s.share)
	err := s.iterate(ctx, o, out, progress)
	progress.Close()
	if err != nil {
		return nil, err
	}
	out.x = append([]float64(nil), s.x.values[:s.problem.size]...)
	s.describe(&out.offloaded)
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
func (s *solver) setUp(ctx context.Context, o *options.Options, library string) error {
	var err error
	lengths := make([]int, s.world.Size())
	for rank := range lengths {
		lengths[rank] = s.problem.bounds[rank+1] - s.problem.bounds[rank]
	}
	if s.parts, err = s.world.Parts(lengths); err != nil {
		return err
	}
	s.lo, s.hi = s.problem.own(s.world)
	if !s.share.None() {
		if s.session, err = offload.Connect(ctx, s.share.Connecting()...); err != nil {
			return err
		}
	}
	// Behind x is room for as many numbers as an executor may have rows.
	for _, v := range []*vector{&s.x, &s.next} {
		if *v, err = newVector(s.session, linear.Stride(s.problem.size)+s.hi-s.lo); err != nil {
			return err
		}
	}
	if err := s.divide(ctx, o, library); err != nil {
		return err
	}
	s.work = offload.Work{Remote: s.remote, Local: s.local}
	return s.place()
}

// divide leases executors, unless the share is one that is to be found and they may not be worth it, and divides the
// rows.
func (s *solver) divide(ctx context.Context, o *options.Options, library string) error {
	plan := offload.Plan{Items: s.hi - s.lo, Share: s.share.Plan(), Weights: s.problem.weights, Resident: true, Say: s.say}
	if o.Iterations > 0 {
		plan.Steps = 1 + o.Iterations
	}
	want := offload.Want{Executors: o.Executors, Library: library, Memory: int64(o.ExecutorMemory), Oversubscribe: true}
	var err error
	switch {
	case s.session == nil:
	case s.share.Auto:
		want.Oversubscribe = false // a core that is shared does not do more
		plan.Want = want
	default:
		if s.lease, err = s.session.Lease(ctx, want); err != nil {
			return err
		}
		plan.Lease = s.lease
	}
	if o.Trace != "" && !s.share.None() {
		if s.trace, err = os.Create(s.traceName(o.Trace)); err != nil {
			return fmt.Errorf("--trace: %w", err)
		}
		plan.Trace = s.trace
	}
	s.split, err = s.session.Split(ctx, plan)
	return err
}

// traceName is the file of this rank's timeline.
func (s *solver) traceName(path string) string {
	if s.world.Size() == 1 {
		return path
	}
	return fmt.Sprintf("%s.%d", path, s.world.Rank())
}

// say tells why nothing is offloaded. All ranks have much the same to say, and all of it is in the report.
func (s *solver) say(text string) {
	if s.world.Rank() == 0 {
		fmt.Fprintf(os.Stderr, "jacobi: rank 0: %s\n", text)
	}
}

// place makes the rank's own rows and the constants by which its executors get theirs, as far as it is known who
// computes what.
func (s *solver) place() error {
	s.rows = s.problem.rows.Hold(s.lo, s.hi)
	s.pieces = newPieces(s.session, s.rows, s.lo, s.hi, 2*8*len(s.x.values))
	lo, hi := s.split.Local()
	if err := s.rows.Make(s.lo+lo, s.lo+hi); err != nil {
		return err
	}
	for _, part := range s.split.Parts() {
		if _, err := s.pieces.constant(part); err != nil {
			return err
		}
	}
	return nil
}

// step has everybody compute its rows of next.
func (s *solver) step(ctx context.Context) error {
	err := s.split.Step(ctx, s.work)
	if s.failed != nil {
		return s.failed
	}
	if s.share.Auto && errors.Is(err, offload.ErrPayloadTooLarge) {
		err = s.retreat(ctx, err)
	}
	if err != nil {
		return err
	}
	return s.pieces.stepped()
}

// retreat goes on without executors when they can not take what they would get. That they may get anything was not
// asked for.
func (s *solver) retreat(ctx context.Context, reason error) error {
	s.off = program.OneLine(adviseMemory(reason)).Error()
	s.say(s.off + "; all is computed here")
	err := s.split.Close()
	if err == nil {
		s.split, err = s.session.Split(ctx, offload.Plan{Items: s.hi - s.lo})
	}
	if err != nil {
		return err
	}
	return s.split.Step(ctx, s.work)
}

// remote sends x to the executor of a part, which writes its rows of next. What is sent behind x says how many rows of
// the piece come before the part's.
func (s *solver) remote(ctx context.Context, part offload.Part) offload.Future {
	constant, err := s.pieces.constant(part)
	if err != nil {
		s.failed = err
		return offload.Future{} // which fails
	}
	x := s.x.buffer.Sub(0, linear.Stride(s.problem.size)+part.Lo-part.Piece.Lo)
	return part.Executor.Invoke(ctx, s.problem.function, x, s.next.buffer.Sub(s.lo+part.Lo, s.lo+part.Hi), constant)
}

// local computes rows of next here, whoever has had them so far.
func (s *solver) local(lo, hi int) error {
	return s.rows.Sweep(s.next.values, s.x.values, s.lo+lo, s.lo+hi)
}

// close gives back all that the solver has; x and next must not be used any more.
func (s *solver) close() error {
	var errs []error
	if s.split != nil {
		errs = append(errs, s.split.Close())
	}
	if s.trace != nil {
		errs = append(errs, s.trace.Close())
	}
	if s.rows != nil {
		errs = append(errs, s.rows.Close())
	}
	if s.session != nil {
		errs = append(errs, s.session.Close()) // with lease, constants and vectors
	} else {
		errs = append(errs, s.x.unmap(), s.next.unmap())
	}
	return errors.Join(errs...)
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
