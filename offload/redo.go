package offload

import (
	"context"
	"errors"
	"time"
)

// A step's parts, each by itself:
//
//	sent ── answered ──▶ done
//	  ▲ │ executor lost, or the part's own deadline passed
//	  │ ▼
//	lost ── no executor is ready ──▶ computed locally
//	    └── it has ended, or held up, two executors ──▶ the step fails

const (
	// maxSent is how often a part is sent before it is computed locally.
	maxSent = 3
	// replacementPatience is how long a part that has ended its executor waits for a replacement: what
	// ends an executor might end the program that computes it locally.
	replacementPatience = 2 * time.Second
)

// fail deals with a part that has failed, and tells whether it has to be done again.
func (s *Split) fail(a *attempt, end ending, err error) (again bool, _ error) {
	var gone *ExecutorLost
	switch {
	case s.ctx.Err() != nil, errors.Is(err, ErrPoison):
		return false, err
	case errors.As(err, &gone):
		if end.crashes > 0 {
			a.blamed++
		}
		if s.lease.want.NotRepeatable {
			return false, err
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
	}
	return false, err
}

// lose sees to a part that was lost with its executor, of which nothing is known any more.
func (s *Split) lose(c *crew, a attempt) {
	s.redone++
	c.pace, c.until = pace{}, s.now()
	if s.dealing && a.blamed == 0 && a.sent < maxSent {
		s.dealer.lose(Span{a.part.Lo, a.part.Hi})
		return
	}
	s.again = append(s.again, a)
}

// redo sends lost parts to executors that are ready, and computes the others here.
func (s *Split) redo() {
	lost := s.again
	s.again = nil
	var local []Span
	for _, a := range lost {
		if e := s.substitute(&a); e != nil {
			s.send(&s.crews[e.index], a)
		} else {
			local = append(local, Span{a.part.Lo, a.part.Hi})
		}
	}
	for _, span := range local {
		s.compute(span)
	}
	s.again = append(lost[:0], s.again...)
}

// substitute finds an executor for a part that was lost; nil: the caller itself.
func (s *Split) substitute(a *attempt) *Executor {
	if a.sent >= maxSent {
		return nil
	}
	if a.blamed > 0 {
		ctx, cancel := context.WithTimeout(s.ctx, replacementPatience)
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
