package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/sublet-hpc/sublet/apps/blackscholes/options"
	"github.com/sublet-hpc/sublet/apps/blackscholes/portfolio"
	"github.com/sublet-hpc/sublet/apps/blackscholes/report"
	"github.com/sublet-hpc/sublet/apps/internal/collective"
	"github.com/sublet-hpc/sublet/apps/internal/pricing"
	"github.com/sublet-hpc/sublet/apps/internal/program"
	"github.com/sublet-hpc/sublet/offload"
)

// pricer is one rank's pricing: by its own core and by its executors.
type pricer[T portfolio.Float] struct {
	world    *collective.World
	o        *options.Options
	kernel   pricing.Func[T]
	function string
	passes   []float64 // seconds of each
	failed   bool      // the run, so that nothing else is to be said
	leasing  time.Duration

	session *offload.Session // nil: no executors
	lease   *offload.Lease
	split   *offload.Split
	off     string // why nothing is offloaded, if it is not the split that says so
	trace   io.WriteCloser
	work    offload.Work
	batch   *batch[T] // that is being priced
}

// newPricer connects to Sublet, if executors may be wanted. They are leased by begin.
func newPricer[T portfolio.Float](ctx context.Context, world *collective.World, o *options.Options) (*pricer[T], error) {
	p := &pricer[T]{
		world: world, o: o, function: pricing.FunctionName[T](pricing.Kernel(o.Kernel)),
		passes: make([]float64, o.Repeat),
	}
	p.work = offload.Work{Remote: p.remote, Local: p.local}
	var err error
	if p.kernel, err = pricing.Of[T](pricing.Kernel(o.Kernel)); err != nil {
		return nil, err
	}
	if o.Offload.None() {
		return p, nil
	}
	start := time.Now()
	p.session, err = offload.Connect(ctx, o.Offload.Connecting()...)
	p.leasing = time.Since(start)
	return p, err
}

// begin leases executors and divides between them and the rank: steps of so many options, as many as are to come.
func (p *pricer[T]) begin(ctx context.Context, options, steps int) error {
	start := time.Now()
	defer func() { p.leasing += time.Since(start) }()
	plan := offload.Plan{Items: portfolio.Blocks(options), Share: p.o.Offload.Plan(), Steps: steps * p.o.Repeat, Say: p.say}
	if p.session != nil {
		library, err := program.FindLibrary(p.o.Library, libraryName)
		if err != nil {
			return err
		}
		want := offload.Want{Executors: p.o.Executors, Library: library, Memory: int64(p.o.ExecutorMemory), Oversubscribe: !p.o.Offload.Auto}
		if p.o.Offload.Auto {
			plan.Want = want
		} else if p.lease, err = p.session.Lease(ctx, want); err != nil {
			return err
		}
		plan.Lease = p.lease
	}
	if p.o.Trace != "" {
		file, err := os.Create(p.traceName())
		if err != nil {
			return fmt.Errorf("--trace: %w", err)
		}
		p.trace, plan.Trace = file, file
	}
	var err error
	p.split, err = p.session.Split(ctx, plan)
	return err
}

// traceName is the file of this rank's trace.
func (p *pricer[T]) traceName() string {
	if p.world.Size() == 1 {
		return p.o.Trace
	}
	return fmt.Sprintf("%s.%d", p.o.Trace, p.world.Rank())
}

// say tells why nothing is offloaded; of all ranks, which have much the same to say, the first one does.
func (p *pricer[T]) say(text string) {
	if p.world.Rank() == 0 && !p.failed {
		fmt.Fprintf(os.Stderr, "blackscholes: %s\n", text)
	}
}

// price prices the options of a batch, as often as was asked for.
func (p *pricer[T]) price(ctx context.Context, b *batch[T]) error {
	for pass := range p.passes {
		if err := p.pass(ctx, b, pass); err != nil {
			return err
		}
	}
	return nil
}

// pass prices them once.
func (p *pricer[T]) pass(ctx context.Context, b *batch[T], pass int) error {
	p.batch = b
	start := time.Now()
	err := p.split.StepN(ctx, portfolio.Blocks(b.options), p.work)
	if errors.Is(err, offload.ErrPayloadTooLarge) {
		err = fmt.Errorf("the options that are in memory at once and their prices need more memory than an executor has; give it more (--executor-memory), or fewer options (--size): %w", err)
		if p.o.Offload.Auto {
			err = p.retreat(ctx, b, err)
		}
	}
	p.passes[pass] += time.Since(start).Seconds()
	return program.OneLine(err)
}

// retreat prices without executors from now on, which can not take the options. That they do was not asked for.
func (p *pricer[T]) retreat(ctx context.Context, b *batch[T], reason error) error {
	p.off = program.OneLine(reason).Error()
	p.say(p.off + "; all is computed here")
	p.leasing += time.Duration(p.split.Report().LeaseSeconds * float64(time.Second))
	err := p.split.Close()
	if err == nil {
		p.split, err = p.session.Split(ctx, offload.Plan{Items: portfolio.Blocks(b.options)})
	}
	if err != nil {
		return err
	}
	return p.split.StepN(ctx, portfolio.Blocks(b.options), p.work)
}

// remote has an executor price the options of some blocks.
func (p *pricer[T]) remote(ctx context.Context, part offload.Part) offload.Future {
	return part.Executor.Invoke(ctx, p.function, p.batch.in.Sub(part.Lo, part.Hi), p.batch.out.Sub(part.Lo*portfolio.Lanes, part.Hi*portfolio.Lanes))
}

// local prices them here.
func (p *pricer[T]) local(lo, hi int) error {
	p.kernel(p.batch.blocks[lo:hi], p.batch.prices[lo*portfolio.Lanes:hi*portfolio.Lanes])
	return nil
}

// describe says which executors the rank has had.
func (p *pricer[T]) describe(s *rankSummary) {
	s.Passes, s.Leasing = p.passes, p.leasing.Seconds()
	did := p.split.Report()
	s.Leasing += did.LeaseSeconds
	s.Off = cmp.Or(p.off, did.Off)
	lease := p.split.Lease()
	if lease == nil {
		return
	}
	s.Lost = lease.Lost()
	for _, loss := range lease.Losses() {
		s.Losses = append(s.Losses, report.Loss{Rank: p.world.Rank(), Text: loss.Error()})
	}
	for _, e := range lease.Executors() {
		path := e.Path()
		s.Leased = append(s.Leased, report.Executor{
			Rank: p.world.Rank(), Index: e.Index(), Node: e.Node(), Core: e.Core(), Oversubscribed: e.Oversubscribed(),
			Transport: path.Transport, Provider: path.Provider,
		})
	}
	for _, e := range did.Executors {
		s.Leased[e.Index].Options, s.Leased[e.Index].Seconds = e.Items*portfolio.Lanes, e.Seconds
	}
}

// close gives back all that the pricer has; batches must not be used any more.
func (p *pricer[T]) close() error {
	var errs []error
	if p.split != nil {
		errs = append(errs, p.split.Close())
	}
	if p.trace != nil {
		errs = append(errs, p.trace.Close())
	}
	if p.session != nil {
		errs = append(errs, p.session.Close())
	}
	return program.OneLine(errors.Join(errs...))
}
