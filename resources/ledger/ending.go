package ledger

import (
	"fmt"
	"maps"
	"time"
)

// EndLease notes that somebody wants a lease ended that its program would keep. The lease goes on, for its
// executors run until its managers have ended them; and it never comes back, whoever reports it later.
type EndLease struct {
	Lease string
	// Until is until when the wish is remembered: a manager that is out of reach now may come back with the
	// lease.
	Until time.Time
}

func (c EndLease) apply(s *State) (Result, error) {
	lease, err := s.lease(c.Lease)
	if err != nil {
		return Result{}, err
	}
	if c.Until.IsZero() {
		return Result{}, &refusal{ErrInvalid, fmt.Sprintf("that lease %q is to end is remembered until no time", c.Lease)}
	}
	if _, known := s.Ending[c.Lease]; known {
		return Result{Unchanged: true}, nil
	}
	s.Ending[c.Lease] = c.Until
	return one(lease), nil
}

// turnAway notes that a manager is to end, because its node was removed.
func (s *State) turnAway(instance string, until time.Time) {
	if instance != "" && !until.IsZero() {
		s.Removed[instance] = until
	}
}

// Overdue tells whether something is remembered whose time is over, so that there is something to Forget.
func (s *State) Overdue(at time.Time) bool {
	for _, remembered := range s.remembered() {
		for _, until := range remembered {
			if until.Before(at) {
				return true
			}
		}
	}
	return false
}

// remembered are the names of what is gone, each until a time.
func (s *State) remembered() []map[string]time.Time {
	return []map[string]time.Time{s.Ended, s.Ending, s.Removed}
}

// Forget drops what was to be remembered until a time that is over.
type Forget struct{ At time.Time }

func (c Forget) apply(s *State) (Result, error) {
	if !s.Overdue(c.At) {
		return Result{Unchanged: true}, nil
	}
	for _, remembered := range s.remembered() {
		maps.DeleteFunc(remembered, func(_ string, until time.Time) bool { return until.Before(c.At) })
	}
	return Result{}, nil
}
