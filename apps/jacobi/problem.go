package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"golang.org/x/sys/unix"

	"github.com/sublet-hpc/sublet/apps/internal/collective"
	"github.com/sublet-hpc/sublet/apps/jacobi/holding"
	"github.com/sublet-hpc/sublet/apps/jacobi/input"
	"github.com/sublet-hpc/sublet/apps/jacobi/linear"
	"github.com/sublet-hpc/sublet/apps/jacobi/options"
	"github.com/sublet-hpc/sublet/apps/jacobi/report"
)

// Functions of the library in kernel, for blocks of dense and of sparse rows.
const (
	sweepDense  = "jacobi_sweep"
	sweepSparse = "jacobi_sweep_sparse"
)

// problem is the system to be solved, as one rank has it.
type problem struct {
	size     int
	bounds   []int // rank r has the rows from boundary r up to boundary r+1
	rows     rows
	weights  []int  // how much work each of the rank's rows is; nil: all the same
	function string // of the executors
	entries  int    // coefficients of the whole system
	advice   string // to who has a system that does not converge
	// direct solves the system directly, on rank 0 of a run that verifies.
	direct func() (linear.Solution, error)
}

// rows is where a rank gets the rows of a system from: it generates them, or has received them.
type rows interface {
	// Hold returns the rows lo to hi-1, for one solution.
	Hold(lo, hi int) holding.Rows
	// Bytes is the size of a block of those rows.
	Bytes(lo, hi int) int
	// Residual is max|b-Ax| over those rows.
	Residual(x []float64, lo, hi int) float64
}

// own is the rank's part of the rows.
func (p *problem) own(world *collective.World) (lo, hi int) {
	return p.bounds[world.Rank()], p.bounds[world.Rank()+1]
}

// define generates or loads what is to be solved. Its error is the same on all ranks, unless it is
// an MPIError.
func define(world *collective.World, o *options.Options) (*problem, error) {
	if o.Matrix != "" {
		return load(world, o)
	}
	p := generate(world, o)
	lo, hi := p.own(world)
	needs := float64(p.rows.Bytes(lo, hi))
	if o.Offload.Auto { // while executors' parts change
		needs *= 1 + slack
	}
	return p, world.Agree(checkMemory(world, o, needs))
}

func generate(world *collective.World, o *options.Options) *problem {
	system := linear.System{N: o.Size, Seed: o.Seed, Dominance: o.Dominance}
	return &problem{
		size: o.Size, bounds: linear.Divide(o.Size, world.Size()), rows: generated{system}, function: sweepDense,
		entries: o.Size * o.Size, advice: " (--dominance above 1)", direct: system.Direct,
	}
}

// plan is what all ranks must know of a system that rank 0 has read.
type plan struct {
	Size    int
	Bounds  []int
	Bytes   []int // of each rank's block
	Sparse  bool
	Entries int
}

// load has rank 0 read the system, which sends all ranks their rows.
func load(world *collective.World, o *options.Options) (*problem, error) {
	var system *input.System
	var mine plan
	var err error
	if world.Rank() == 0 {
		reading := newReading()
		system, err = input.Read(o.Matrix, o.RHS, reading.Read)
		reading.Close()
		if err == nil {
			mine = planFor(system, world.Size())
		}
	}
	if err := world.Agree(err); err != nil {
		return nil, unnumbered(err)
	}
	text, err := json.Marshal(mine)
	if err != nil {
		return nil, err
	}
	if text, err = world.Share(text, 0); err != nil {
		return nil, err
	}
	var all plan
	if err := world.Agree(json.Unmarshal(text, &all)); err != nil {
		return nil, err
	}
	o.Size = all.Size
	// A rank has its rows, and executors have a copy of theirs.
	needs := float64(all.Bytes[world.Rank()]) * (1 + o.Offload.Most())
	if err := world.Agree(checkMemory(world, o, needs)); err != nil {
		return nil, err
	}
	block, err := distribute(world, system, &all)
	if err != nil {
		return nil, err
	}
	p := &problem{
		size: all.Size, bounds: all.Bounds, rows: received{block}, entries: all.Entries,
		function: sweepDense,
	}
	if all.Sparse {
		p.function, p.weights = sweepSparse, block.Weights()
	}
	if system != nil && o.Verifies() {
		p.direct = system.Direct
	}
	return p, nil
}

func planFor(system *input.System, ranks int) plan {
	p := plan{Size: system.Size(), Bounds: system.Divide(ranks), Sparse: system.Sparse(), Entries: system.Entries()}
	for rank := range ranks {
		p.Bytes = append(p.Bytes, system.Bytes(p.Bounds[rank], p.Bounds[rank+1]))
	}
	return p
}

// distribute sends the blocks from rank 0, one after the other, and returns this rank's.
func distribute(world *collective.World, system *input.System, p *plan) (*linear.Block, error) {
	if world.Rank() == 0 {
		for rank := 1; rank < world.Size(); rank++ {
			if err := world.Send(system.Block(p.Bounds[rank], p.Bounds[rank+1]).Memory(), rank); err != nil {
				return nil, err
			}
		}
		return system.Block(p.Bounds[0], p.Bounds[1]), world.Agree(nil)
	}
	memory := linear.Memory(p.Bytes[world.Rank()])
	if err := world.Receive(memory, 0); err != nil {
		return nil, err
	}
	block, err := linear.Open(memory)
	return block, world.Agree(err)
}

// generated are rows that a rank can make whenever it needs them.
type generated struct{ linear.System }

func (g generated) Hold(lo, hi int) holding.Rows { return holding.Generated(g.System, lo, hi) }

// received is the rank's own rows, which it keeps.
type received struct{ block *linear.Block }

func (r received) Hold(int, int) holding.Rows { return holding.Received(r.block) }

func (r received) Bytes(lo, hi int) int { return r.block.Bytes(lo, hi) }

// Residual is that of all of the block's rows: ranks have no others.
func (r received) Residual(x []float64, _, _ int) float64 { return r.block.Residual(x) }

// unnumbered is an error of rank 0 about what all ranks were given: which of them has noticed it
// says nothing.
func unnumbered(err error) error {
	var agreed *collective.RankError
	if errors.As(err, &agreed) {
		return errors.New(agreed.Text)
	}
	return err
}

// checkMemory refuses what would only fail half way, when the system has killed something.
func checkMemory(world *collective.World, o *options.Options, needs float64) error {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return fmt.Errorf("asking for the size of memory: %w", err)
	}
	has := float64(info.Totalram) * float64(info.Unit)
	why := ""
	if direct := float64(o.Size) * float64(o.Size) * 8; o.Verifies() && world.Rank() == 0 && direct > needs {
		needs, why = direct, " for the direct solution (--verify=false does without)"
	}
	if needs <= has {
		return nil
	}
	const gib = 1 << 30
	return fmt.Errorf("a system of %d needs %.3g GiB on this rank%s, whose node has %.3g GiB of memory; use more ranks on more nodes, or a smaller system",
		o.Size, math.Max(needs/gib, 0.01), why, has/gib)
}

// describeProblem enters what was solved into a report.
func describeProblem(r *report.Report, p *problem, o *options.Options) {
	r.N, r.Entries = p.size, p.entries
	if o.Matrix == "" {
		r.Seed, r.Dominance = &o.Seed, &o.Dominance
		return
	}
	r.Matrix, r.RHS = o.Matrix, o.RHS
	r.Sparse = p.function == sweepSparse
}
