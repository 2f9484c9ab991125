package api

import "time"

// Outlook is for how long a node will be lent, as its executor manager knows it.
type Outlook struct {
	// Ends is when the node's allocation ends, and with it whatever runs there; zero: never, or nobody knows.
	Ends time.Time `json:"ends,omitzero"`
	// LendsUntil is from when on it takes no new leases, some time before that; zero: it always does.
	LendsUntil time.Time `json:"lends_until,omitzero"`
	// Leaving is why its manager is about to end, and takes no new leases; empty: it is not.
	Leaving string `json:"leaving,omitempty"`
	// Since is when it began to leave.
	Since time.Time `json:"since,omitzero"`
}

// Drain is that of a node with this outlook at a time; nil: it takes new leases.
func (o Outlook) Drain(at time.Time) *Drain {
	switch {
	case o.Leaving != "":
		return &Drain{Reason: o.Leaving, Since: o.Since, Final: true}
	case !o.LendsUntil.IsZero() && !at.Before(o.LendsUntil):
		return &Drain{Reason: "its allocation ends at " + o.Ends.UTC().Format(time.RFC3339), Since: o.LendsUntil, Final: true}
	}
	return nil
}
