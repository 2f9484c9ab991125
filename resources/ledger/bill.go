package ledger

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/sublet-hpc/sublet/resources/api"
)

// The bill. Managers say what each lease has used of their node since its beginning there. What is more than
// was said before is the account's; so nothing is counted twice or lost, whatever comes twice, late or never.
//
//	            Book                       Book of its end, or Settle
//	reported ─────────▶ part and account ─────────────────────────────▶ a line ── Written ──▶ in the file alone
//
// What accounts have used is what their lines say, and what parts have that is in no line yet.

// Part is what a lease has used of a node.
type Part struct {
	Lease   string
	Node    string
	User    string
	Account string
	Began   time.Time
	// Usage is the account's; Lined is what of it lines say, and Since when the last one was entered, or the
	// part began.
	Usage api.Usage
	Lined api.Usage
	Since time.Time
	// Closed is when its end was booked; zero: more will come.
	Closed time.Time
}

// Billing is what has been billed.
type Billing struct {
	// Accounts is what each has used.
	Accounts map[string]api.Usage
	// Parts are those that may still be reported, by PartOf.
	Parts map[string]*Part
	// Lines are those that may not be in the file yet, Last is the number of the last one there was, At
	// its time, and Written the last of which it is known that it is in the file.
	Lines   []api.BillLine
	Last    uint64
	At      time.Time
	Written uint64
}

func newBilling() Billing {
	return Billing{Accounts: map[string]api.Usage{}, Parts: map[string]*Part{}}
}

func (b *Billing) clone() Billing {
	c := *b
	c.Accounts, c.Lines, c.Parts = maps.Clone(b.Accounts), slices.Clone(b.Lines), map[string]*Part{}
	for name, part := range b.Parts {
		copied := *part
		c.Parts[name] = &copied
	}
	return c
}

// line enters what is in no line yet.
func (b *Billing) line(part *Part, ended time.Time, lost bool, at time.Time) {
	if at.After(b.At) {
		b.At = at
	}
	b.Last++
	b.Lines = append(b.Lines, api.BillLine{
		Line: b.Last, At: b.At, Account: part.Account, User: part.User, Lease: part.Lease, Node: part.Node,
		Began: part.Began, Ended: ended, Lost: lost, Usage: part.Usage.Minus(part.Lined),
	})
	part.Lined, part.Since = part.Usage, b.At
}

// Book notes what leases have used of a node.
type Book struct {
	Node string
	Used []api.Used
	At   time.Time
}

func (c Book) apply(s *State) (Result, error) {
	for _, used := range c.Used {
		if used.Lease == "" || c.Node == "" || used.Account == "" {
			return Result{}, &refusal{ErrInvalid, fmt.Sprintf("what lease %q has used of node %q, for account %q; none of the names may be empty", used.Lease, c.Node, used.Account)}
		}
	}
	result := Result{Unchanged: true}
	for i := range c.Used {
		if s.Billing.book(c.Node, &c.Used[i], c.At) {
			result.Unchanged = false
		}
	}
	return result, nil
}

// book tells whether there was anything new.
func (b *Billing) book(node string, used *api.Used, at time.Time) bool {
	name := PartOf(used.Lease, node)
	part := b.Parts[name]
	more := used.Usage
	if part != nil {
		more = used.Minus(part.Usage)
	}
	ends := !used.Ended.IsZero() && (part == nil || part.Closed.IsZero())
	if more.IsZero() && !ends {
		return false
	}
	if part == nil {
		part = &Part{Lease: used.Lease, Node: node, User: used.User, Account: used.Account, Began: used.Began, Since: at}
		b.Parts[name] = part
	}
	part.Usage = part.Usage.Plus(more)
	b.Accounts[part.Account] = b.Accounts[part.Account].Plus(more)
	if !used.Ended.IsZero() {
		part.Closed = at
		b.line(part, used.Ended, false, at)
	} else if !part.Closed.IsZero() {
		// It was given up, and its manager has come back.
		part.Closed = time.Time{}
	}
	return true
}

// Settle enters lines for parts that last, or, if they are lost, for those of which nothing more is
// expected. Parts that are not known, have ended, or have used nothing since their last line, are passed over.
type Settle struct {
	Parts []string
	Lost  bool
	At    time.Time
}

func (c Settle) apply(s *State) (Result, error) {
	result := Result{Unchanged: true}
	for _, name := range c.Parts {
		part := s.Billing.Parts[name]
		if part == nil || !part.Closed.IsZero() || part.Usage == part.Lined && !c.Lost {
			continue
		}
		s.Billing.line(part, time.Time{}, c.Lost, c.At)
		if c.Lost {
			part.Closed = c.At
		}
		result.Unchanged = false
	}
	return result, nil
}

// Written notes that lines are in the file up to one.
type Written struct{ Line uint64 }

func (c Written) apply(s *State) (Result, error) {
	b := &s.Billing
	if c.Line > b.Last {
		return Result{}, &refusal{ErrInvalid, fmt.Sprintf("line %d of the bill is said to be written, and the last is %d", c.Line, b.Last)}
	}
	if c.Line <= b.Written {
		return Result{Unchanged: true}, nil
	}
	b.Written = c.Line
	b.Lines = slices.DeleteFunc(slices.Clone(b.Lines), func(line api.BillLine) bool { return line.Line <= c.Line })
	return Result{}, nil
}

// ForgetParts drops parts that have ended and will not be reported again; others are passed over.
type ForgetParts struct{ Parts []string }

func (c ForgetParts) apply(s *State) (Result, error) {
	result := Result{Unchanged: true}
	for _, name := range c.Parts {
		if part := s.Billing.Parts[name]; part != nil && !part.Closed.IsZero() {
			delete(s.Billing.Parts, name)
			result.Unchanged = false
		}
	}
	return result, nil
}
