package ledger

import "time"

// Names of leases, and of the parts that they had on nodes, are remembered for a while after their end, so
// that a report which was on its way does not bring them back.

// PartOf is the name of the part that a lease has on a node.
func PartOf(lease, node string) string { return lease + "@" + node }

func (s *State) remember(name string, until time.Time) {
	if !until.IsZero() {
		s.Ended[name] = until
	}
}

// Remember notes that a lease, or a part of one (PartOf), has ended that the ledger does not know.
type Remember struct {
	Name  string
	Until time.Time
}

func (c Remember) apply(s *State) (Result, error) {
	if c.Name == "" || c.Until.IsZero() {
		return Result{}, &refusal{ErrInvalid, "what is remembered needs a name, and a time until when"}
	}
	known := s.Ended[c.Name]
	s.remember(c.Name, c.Until)
	return Result{Unchanged: known.Equal(c.Until)}, nil
}
