package server

import (
	"maps"
	"slices"
	"time"

	"github.com/sublet-hpc/sublet/resources/api"
	"github.com/sublet-hpc/sublet/resources/ledger"
)

const (
	// bookInterval is how often what a lease uses is written while it lasts. What was reported since is
	// written when the lease ends, when its node is given up, and when somebody asks for the bill.
	bookInterval = 10 * time.Second
	// lineInterval is how often a lease that lasts has a line in the bill.
	lineInterval = time.Hour
	// partSilence is when a node that was not heard of any more is taken not to come back with its leases.
	partSilence = 24 * time.Hour
)

// metered is what a manager has reported last of what its leases have used.
type metered struct {
	used   []api.Used
	heard  time.Time
	booked time.Time // when those that last were
}

// meter notes what a manager says that leases have used. What has ended is written now, what lasts now and
// then. mu is held.
func (b *book) meter(name string, used []api.Used, at time.Time) {
	nameAccounts(used)
	known := b.metered[name]
	if known == nil {
		known = &metered{booked: at}
		b.metered[name] = known
	}
	known.used, known.heard = used, at
	due := at.Sub(known.booked) >= bookInterval
	b.bookUsed(name, func(its *api.Used) bool { return due || !its.Ended.IsZero() }, at)
	if due {
		known.booked = at
		b.forgetParts(name, at) // it looks at the parts of all nodes
	}
}

func nameAccounts(used []api.Used) {
	for i := range used {
		if api.CheckAccount(used[i].Account) != nil {
			used[i].Account = api.DefaultAccount // of before there were accounts
		}
	}
}

// lastWords writes what the manager of a node that was removed says; another may have the name by now. mu is
// held.
func (b *book) lastWords(name string, used []api.Used, at time.Time) {
	nameAccounts(used)
	if _, err := b.apply(ledger.Book{Node: name, Used: used, At: at}); err != nil {
		b.log.Error("what leases of a node that was removed have used could not be booked", "node", name, "error", err)
	}
}

// bookUsed writes what a manager has reported last, of leases of a kind. mu is held.
func (b *book) bookUsed(name string, which func(*api.Used) bool, at time.Time) {
	known := b.metered[name]
	if known == nil {
		return
	}
	command := ledger.Book{Node: name, At: at}
	for i := range known.used {
		if its := &known.used[i]; which(its) && b.news(name, its) {
			command.Used = append(command.Used, *its)
		}
	}
	if len(command.Used) == 0 {
		return
	}
	if _, err := b.apply(command); err != nil {
		b.log.Error("what leases have used could not be booked, and will be with the next report", "node", name, "leases", len(command.Used), "error", err)
	}
}

// news tells whether the ledger does not know it yet. mu is held.
func (b *book) news(name string, used *api.Used) bool {
	part := b.state.Billing.Parts[ledger.PartOf(used.Lease, name)]
	return part == nil || !used.Minus(part.Usage).IsZero() || !used.Ended.IsZero() && part.Closed.IsZero()
}

// bookRest writes all that a manager has reported: it is not heard of any more, or will report anew. mu is
// held.
func (b *book) bookRest(name string, at time.Time) {
	b.bookUsed(name, whatever, at)
	if known := b.metered[name]; known != nil {
		known.used = nil
	}
}

// giveUpParts enters the last lines of leases that were on a node and that its manager, which registers, does not
// know: it is another process than the one that had them. mu is held.
func (b *book) giveUpParts(name string, used []api.Used, at time.Time) {
	known := map[string]bool{}
	for i := range used {
		known[used[i].Lease] = true
	}
	var lost []string
	for id, part := range b.state.Billing.Parts {
		if part.Node == name && part.Closed.IsZero() && !known[part.Lease] {
			lost = append(lost, id)
		}
	}
	slices.Sort(lost)
	if _, err := b.apply(ledger.Settle{Parts: lost, Lost: true, At: at}); err != nil {
		b.log.Error("leases of a manager that has gone could not be billed", "node", name, "error", err)
	}
}

func whatever(*api.Used) bool { return true }

// bookAll writes all that managers have reported. mu is held.
func (b *book) bookAll(at time.Time) {
	for _, name := range slices.Sorted(maps.Keys(b.metered)) {
		b.bookUsed(name, whatever, at)
	}
}

// forgetParts drops what has ended for some time and is not in its manager's reports any more: it knows
// that its end was booked. mu is held.
func (b *book) forgetParts(name string, at time.Time) {
	var known map[string]bool
	var old []string
	for id, part := range b.state.Billing.Parts {
		if part.Node != name || part.Closed.IsZero() || at.Sub(part.Closed) < remembered {
			continue
		}
		if known == nil {
			known = map[string]bool{}
			for i := range b.metered[name].used {
				known[b.metered[name].used[i].Lease] = true
			}
		}
		if !known[part.Lease] {
			old = append(old, id)
		}
	}
	if len(old) == 0 {
		return
	}
	slices.Sort(old)
	if _, err := b.apply(ledger.ForgetParts{Parts: old}); err != nil {
		b.log.Error("what was billed could not be forgotten", "error", err)
	}
}

// settle enters lines for leases that last long, and gives up those whose node does not come back. mu is held.
func (b *book) settle(at time.Time) {
	if at.Before(b.settleNext) {
		return
	}
	b.settleNext = at.Add(time.Minute)
	var last, lost, old []string
	for id, part := range b.state.Billing.Parts {
		heard := b.began
		if known := b.metered[part.Node]; known != nil {
			heard = known.heard
		}
		switch gone := b.state.Nodes[part.Node] == nil && at.Sub(heard) > partSilence; {
		case gone && part.Closed.IsZero():
			lost = append(lost, id)
		case gone && at.Sub(part.Closed) > partSilence:
			old = append(old, id)
		case part.Closed.IsZero() && part.Usage != part.Lined && at.Sub(part.Since) >= lineInterval:
			last = append(last, id)
		}
	}
	slices.Sort(last)
	slices.Sort(lost)
	slices.Sort(old)
	for _, command := range []ledger.Command{ledger.Settle{Parts: last, At: at}, ledger.Settle{Parts: lost, Lost: true, At: at}, ledger.ForgetParts{Parts: old}} {
		if _, err := b.apply(command); err != nil {
			b.log.Error("the bill could not be brought up to date", "error", err)
		}
	}
}
