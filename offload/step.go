package offload

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// A step's parts, each by itself:
//
//	sent ── answered ──▶ done
//	  ▲ │ executor lost, or the part's own deadline passed
//	  │ ▼
//	lost ── no executor is ready ──▶ computed locally
//	    └── it has ended, or held up, two executors ──▶ the step fails

// attempt is a part that was sent.
type attempt struct {
	part   Part
	future Future
	sent   int // times
	blamed int // executors that ended, or had to be ended, while they ran it
}

const (
	// maxSent is how often a part is sent before it is computed locally.
	maxSent = 3
	// replacementPatience is how long a part that has ended its executor waits for a replacement: what
	// ends an executor might end the program that computes it locally.
	replacementPatience = 2 * time.Second
)

// Step does one step: it sends the parts, computes the local items, waits, and has lost parts done
// again: by another executor of the lease that is ready, else locally. Executors
// that are killed, or go away with their node, cost nothing else. A part that was running when its
// executor ended of its own accord, or that ran past a deadline that Remote gave it, is only given to
// one more, its replacement; if it ends that one as well Step fails with [ErrPoison], or [ErrDeadline].
//
// A function's own error, that of Local, and a loss under Want.NotRepeatable end the step when nothing
// of it is in flight any more. The end of ctx ends it at once: parts that were sent may still run, and
// their buffers stay lent.
func (s *Split) Step(ctx context.Context, work Work) error { return s.StepN(ctx, s.plan.Items, work) }

// StepN is Step with another number of items than Plan.Items, no more than there are Plan.Weights if there are any.
func (s *Split) StepN(ctx context.Context, items int, work Work) error {
	if s.closed {
		return classify(ErrClosed, "offload: the split is closed")
	}
	if items < 0 || s.scale.sums != nil && items > s.plan.Items {
		return fmt.Errorf("offload: a step of %d items by a split of %d", items, s.plan.Items)
	}
	parts := s.parts(items)
	attempts := make([]attempt, len(parts))
	for i, part := range parts {
		attempts[i] = attempt{part: part, future: work.Remote(ctx, part), sent: 1}
	}
	var errs []error
	if local := s.bounds(items)[0]; local > 0 {
		errs = append(errs, work.Local(0, local))
	}
	for len(attempts) > 0 {
		lost := attempts[:0]
		for _, a := range attempts {
			again, err := s.await(ctx, &a)
			errs = append(errs, err)
			if again {
				lost = append(lost, a)
			}
		}
		if err := errors.Join(errs...); err != nil {
			return err
		}
		attempts = s.redo(ctx, work, lost, &errs)
	}
	return errors.Join(errs...)
}

// await returns when a part has been answered, and whether it has to be done again.
func (s *Split) await(ctx context.Context, a *attempt) (again bool, _ error) {
	end, err := a.future.wait(ctx)
	var gone *ExecutorLost
	switch {
	case ctx.Err() != nil && err != nil:
		return false, err
	case errors.Is(err, ErrPoison):
		return false, err
	case errors.As(err, &gone):
		if s.lease.want.NotRepeatable {
			return false, err
		}
		if end.crashes > 0 {
			a.blamed++
		}
		if a.blamed >= maxCrashes {
			return false, poison(end.function.name, gone)
		}
		return true, nil
	case errors.Is(err, ErrDeadline):
		a.blamed++
		if s.lease.want.NotRepeatable || a.blamed >= maxCrashes {
			return false, err
		}
		return true, nil
	case err != nil:
		return false, err
	case end.size != end.capacity:
		return false, fmt.Errorf("function %s on %s returned %d bytes for items %d to %d, whose output has %d",
			end.function.name, a.part.Executor, end.size, a.part.Lo, a.part.Hi-1, end.capacity)
	}
	return false, nil
}

// redo sends lost parts to executors that are ready, and computes the others here. It returns those
// that were sent.
func (s *Split) redo(ctx context.Context, work Work, lost []attempt, errs *[]error) []attempt {
	var sent, local []attempt
	for _, a := range lost {
		s.redone++
		e := s.substitute(ctx, &a)
		if e == nil {
			local = append(local, a)
			continue
		}
		a.part.Executor = e
		a.future = work.Remote(ctx, a.part)
		a.sent++
		sent = append(sent, a)
	}
	for _, a := range local {
		*errs = append(*errs, work.Local(a.part.Lo, a.part.Hi))
	}
	return sent
}

// substitute finds an executor for a part that was lost; nil: the caller itself.
func (s *Split) substitute(ctx context.Context, a *attempt) *Executor {
	if a.sent >= maxSent {
		return nil
	}
	if a.blamed > 0 {
		ctx, cancel := context.WithTimeout(ctx, replacementPatience)
		defer cancel()
		if c, err := s.lease.awaitReplacement(ctx, a.part.Executor); err == nil {
			return c.berth.executor
		}
	}
	if c, _ := s.lease.choose(); c != nil {
		return c.berth.executor
	}
	return nil
}
