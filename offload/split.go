package offload

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"
)

// Auto is the share of a [Plan] that is found by measuring.
const Auto = -1.0

// Plan says what a [Split] divides, and among whom.
type Plan struct {
	// Items is how many there are in each step.
	Items int
	// Grain is what items are divided at multiples of. 0: 1.
	Grain int
	// Share is the part of the work that executors do: 0 to 1, or [Auto].
	Share float64
	// Lease is whose executors are used. It stays the caller's. nil: Split leases Want, with a fixed share at once, with
	// Auto when that is worth it, and gives it back in Close.
	Lease *Lease
	// Want is what Split leases. With neither Lease nor Want.Executors everything is local.
	Want Want
	// Weights are the work of each item, in any unit, where items are not all the same: rows of a sparse matrix, say.
	Weights []int
	// Resident says that executors have something of their items: constants that are sent once. Then each has one
	// part, the same in each step, until moving boundaries is worth what it costs.
	Resident bool
	// Steps is how many steps are to come. 0: nobody knows.
	Steps int
	// Say is told, once, with the numbers, that offloading does not pay, or that there are no executors to be had. nil:
	// slog's default logger is.
	Say func(text string)
	// Trace gets a timeline of the last steps when the Split is closed, in Chrome's trace format: who did what when.
	// nil: none is kept.
	Trace io.Writer
}

// Span is the items from Lo up to Hi.
type Span struct {
	Lo int `json:"lo"`
	Hi int `json:"hi"`
}

// Len is how many items these are.
func (s Span) Len() int { return s.Hi - s.Lo }

// Part is the items from Lo up to Hi, for one executor to do in a step.
type Part struct {
	Lo, Hi   int
	Executor *Executor
	// Index counts the parts of a step, from 0. With Plan.Resident it is that of Piece, and the same in each step.
	Index int
	// Piece, with Plan.Resident, is what constants are made for: items that came to an executor together, of which the
	// part is all, or some when others have gone elsewhere. No other piece has the same Index. Without Resident it is
	// the part.
	Piece Span
}

// Work is one step of a program's work on its items.
type Work struct {
	// Remote sends a part to its executor. It must not wait for the result, which must fill the
	// output: Step fails if it does not. It is called several times in a step, with other parts, and again, with
	// another executor, for a part that was lost.
	Remote func(ctx context.Context, part Part) Future
	// Local computes the items from lo up to hi here. It is called several times in a step, and also for parts that were
	// lost and that no other executor takes.
	Local func(lo, hi int) error
}

// Split divides the items of steps between the caller and the executors of a lease. A program written with it
// gives the right answer with any number of executors, including none, and including those that
// vanish half way.
//
// The first items are local, the last ones remote. A Split is used by one goroutine.
type Split struct {
	session *Session
	plan    Plan
	scale   scale
	dealing bool      // parts are dealt out within a step; else everybody has its own from the beginning
	epoch   time.Time // what times count from

	lease   *Lease // nil: there is none, or none yet
	own     bool   // the lease is the Split's
	leasing leasing
	crews   []crew

	// Of the step that is being done.
	ctx      context.Context
	work     Work
	mode     mode
	items    int
	stepWork float64
	dealer   dealer
	shares   []float64
	limits   []int
	ownSpans []Span    // that the caller is still to compute, where they are not dealt out
	again    []attempt // lost, and to be done again
	errs     []error
	flying   int // parts in flight
	index    int // of the next part
	computed effort
	remote   float64 // work that executors have done
	resumed  float64 // when the caller last went on after it had stood still, in any step

	// What was learned.
	local smooth // seconds of the caller for each unit of work
	worth worth
	price smooth // seconds to bring a unit of work to an executor, with Plan.Resident

	// Who has what, with Plan.Resident.
	current []int
	held    [][]piece // by executor
	made    int       // pieces

	// For the report.
	steps     int
	seconds   float64
	lastShare float64
	done      Effort // by the caller
	redone    int
	moved     int64
	off       string // why offloading does not pay
	said      bool
	timeline  timeline
	closed    bool
}

// Split makes a Split. A nil Session has no executors: everything is local. With a fixed share and no Lease, its
// executors are leased here, and errors are those of [Session.Lease]; ctx governs nothing else.
func (s *Session) Split(ctx context.Context, plan Plan) (*Split, error) {
	if err := plan.check(s); err != nil {
		return nil, err
	}
	if plan.Say == nil {
		plan.Say = func(text string) { slog.Warn(text) }
	}
	split := &Split{
		session: s, plan: plan, lease: plan.Lease, scale: newScale(plan.Items, plan.Grain, plan.Weights), epoch: time.Now(),
		dealing: plan.Share == Auto && !plan.Resident, shares: make([]float64, 1), limits: make([]int, 1),
		timeline: newTimeline(plan.Trace != nil),
	}
	split.dealer = dealer{scale: &split.scale, workers: make([]worker, 1)}
	if plan.Lease == nil && plan.Share > 0 && plan.Want.Executors > 0 {
		lease, err := s.Lease(ctx, plan.Want)
		if err != nil {
			return nil, err
		}
		split.lease, split.own = lease, true
	}
	split.muster()
	return split, nil
}

// check finds what makes no sense.
func (p *Plan) check(s *Session) error {
	switch {
	case p.Items < 0:
		return fmt.Errorf("offload: a split of %d items (Plan.Items)", p.Items)
	case p.Grain < 0:
		return fmt.Errorf("offload: a split at multiples of %d items (Plan.Grain); at least 1, or 0 for 1", p.Grain)
	case p.Share != Auto && !(p.Share >= 0 && p.Share <= 1):
		return fmt.Errorf("offload: a share of %g (Plan.Share); 0 to 1, or offload.Auto", p.Share)
	case p.Steps < 0:
		return fmt.Errorf("offload: %d steps to come (Plan.Steps); 0 if nobody knows", p.Steps)
	case p.Weights != nil && len(p.Weights) != p.Items:
		return fmt.Errorf("offload: %d weights for %d items (Plan.Weights)", len(p.Weights), p.Items)
	case p.Lease != nil && p.Want.Executors > 0:
		return errors.New("offload: a split has a lease (Plan.Lease) and wants another one (Plan.Want); leave out one of them")
	case p.Lease != nil && p.Lease.session != s:
		return errors.New("offload: a split's lease (Plan.Lease) is another session's; use the session that has it")
	case s == nil && p.Want.Executors > 0:
		return errors.New("offload: a split without a session can lease no executors (Plan.Want); Connect first")
	}
	for i, weight := range p.Weights {
		if weight < 0 {
			return fmt.Errorf("offload: item %d has weight %d (Plan.Weights)", i, weight)
		}
	}
	return nil
}

// Local is the range of the caller's own items: with Auto and without Plan.Resident what it begins with.
func (s *Split) Local() (lo, hi int) { return 0, s.begins()[0] }

// Parts are what executors have: with Plan.Resident in each step until boundaries move, with Auto and without Resident
// what they begin with.
func (s *Split) Parts() (parts []Part) {
	bounds := slices.Clone(s.begins())
	index := s.index
	s.index = 0
	for i := range s.crews {
		if bounds[i] < bounds[i+1] {
			parts = s.partsOf(i, Span{bounds[i], bounds[i+1]}, parts)
		}
	}
	s.index = index
	return parts
}

// begins is where parts begin and end at the beginning of a step.
func (s *Split) begins() []int {
	if !s.dealing {
		return s.division(s.plan.Items)
	}
	s.mode = together
	s.stepWork = s.scale.work(0, s.plan.Items)
	s.deal(s.plan.Items)
	return s.limits
}

// Redone is how many times a part was computed once more, here or by another executor, because its
// executor was lost.
func (s *Split) Redone() int { return s.redone }

// Lease is whose executors are used now: the plan's, or the Split's own; nil: there is none, or none yet. It can end with
// the Split.
func (s *Split) Lease() *Lease { return s.lease }

// Close gives the lease back if the Split has it from Plan.Want, and writes the trace. It is called between steps; a
// second call does nothing.
func (s *Split) Close() error {
	if s.closed {
		return nil
	}
	if s.worth.off {
		s.sayOff()
	}
	s.sayUnleased()
	s.closed = true
	err := s.endLeasing()
	if s.plan.Trace == nil {
		return err
	}
	names := []string{"rank"}
	for i := range s.crews {
		names = append(names, s.crews[i].executor.String())
	}
	return errors.Join(err, s.timeline.write(s.plan.Trace, names))
}
