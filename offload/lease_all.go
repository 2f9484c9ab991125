package offload

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/sublet-hpc/sublet/resources/api"
)

// LeaseAll is [Session.Lease] for all ranks of a communicator at once: each calls it and gets a lease of its own. Where there is a resource
// manager, rank 0 asks it once for all leases, and all of them are granted, or none; then each rank has its
// executors from their managers. Executors are on their rank's own node as far as there is room for those of all its ranks in
// equal parts, and the others where [Want].Placement says, which is Spread here if it is empty. Without a resource manager each rank
// asks by itself.
//
// What ranks want may differ in Executors and in what concerns functions only: Library, HotTimeout, Environment,
// StackSize, NotRepeatable. A lease is released, renewed and filled up again by its own rank, and ends with it and no other.
//
// What goes wrong on one rank is an error on all ranks, with the same text, and all give back what they have. What is
// granted to a rank that ends before it has taken it up is free again after 20 s.
//
// LeaseAll is collective: every rank must call it, also one whose ctx has ended, and gets its answer when all have one. It sends messages
// from the calling goroutine, with tag 23326; meanwhile no receive with any tag may be pending on that communicator.
func LeaseAll[S any](ctx context.Context, s *Session, comm Communicator[S], want Want) (*Lease, error) {
	lease, err := s.plan(want)
	if err == nil {
		var done func()
		if ctx, done, err = s.begin(ctx); err == nil {
			defer done()
			err = s.appear(ctx)
		}
	}
	a := &joint[S]{ranks: ranks[S]{comm: comm, rank: comm.Rank(), size: comm.Size()}, session: s, lease: lease, until: time.Now().Add(want.Wait)}
	for attempt := 1; ; attempt++ {
		again, failed := a.ask(ctx, attempt, err)
		if failed == nil {
			lease.start()
			return lease, nil
		}
		if again {
			continue
		}
		if lease != nil {
			failed = errors.Join(failed, lease.Release())
		}
		return nil, failed
	}
}

// joint is one rank's part in LeaseAll. An attempt goes through four messages:
//
//	rank 0                       rank r
//	  ◀───────── bid ──────────────       what it wants, and whose its tickets are to be
//	  one request for all
//	  ────────── award ────────────▶      its grant
//	                     its executors
//	  ◀───────── outcome ──────────
//	  ────────── verdict ──────────▶      the same for all
type joint[S any] struct {
	ranks[S]
	session *Session
	lease   *Lease // nil: this rank has already failed
	until   time.Time
}

type bid struct {
	Failure *failure
	// Manager is the key of its resource manager; empty: it has none.
	Manager string
	Request api.GrantRequest
	Node    string
}

type award struct {
	Failure *failure
	// Grant is its own; nil: it is to ask by itself.
	Grant *api.Grant
}

type outcome struct {
	Failure *failure
	// Again: another attempt may go better, after so much time.
	Again bool
	Pause time.Duration
}

// ask is one attempt. own is why this rank can not take part, if it can not.
func (a *joint[S]) ask(ctx context.Context, attempt int, own error) (again bool, failed error) {
	bids, unread := gather(&a.ranks, a.bid(own))
	var awards []award
	if a.rank == 0 {
		awards = a.decide(ctx, bids, unread)
	}
	mine, unreadable := scatter(&a.ranks, awards)
	var g *grant
	out := outcome{Failure: mine.Failure}
	switch { // whatever it is, the others wait for the outcome
	case unreadable != nil:
		own = unreadable
		out.Failure = tell(a.rank, own)
	case mine.Failure == nil:
		g, own = a.takeUp(ctx, mine)
		out = a.outcome(ctx, own, attempt, mine)
	}
	outcomes, unread := gather(&a.ranks, out)
	var verdicts []outcome
	if a.rank == 0 {
		verdicts = a.judge(outcomes, unread)
	}
	verdict, err := scatter(&a.ranks, verdicts)
	if err == nil && verdict.Failure != nil {
		err = verdict.Failure.error(a.size, a.blame(verdict.Failure, own))
	}
	if g != nil {
		err = a.lease.admit(g, err)
	}
	if err != nil && verdict.Again {
		pause(ctx, verdict.Pause)
	}
	return verdict.Again, err
}

// blame is the cause of a failure on the rank whose it is.
func (a *joint[S]) blame(f *failure, own error) error {
	if f.Rank == a.rank {
		return own
	}
	return nil
}

func (a *joint[S]) bid(own error) bid {
	if own != nil {
		return bid{Failure: tell(a.rank, own)}
	}
	b := bid{Node: a.session.Node()}
	if resources := a.session.resources; resources != nil {
		b.Manager = string(resources.Access().Pin)
		b.Request = a.lease.grantRequest(len(a.lease.executors), time.Until(a.until))
		b.Request.Owner, b.Request.Placement = resources.Owner(), cmp.Or(b.Request.Placement, Spread)
	}
	return b
}

// takeUp gets the executors of an award. The grant, if there is one, is not the lease's yet.
func (a *joint[S]) takeUp(ctx context.Context, mine award) (*grant, error) {
	l := a.lease
	if mine.Grant == nil {
		return nil, l.settleAgain(ctx, l.executors, l.want.Wait)
	}
	// It is not renewed: the managers do that for as long as they hold it, and that costs nothing more with more ranks.
	g := &grant{lease: l, id: mine.Grant.Lease.ID, stopRenewing: func() {}}
	err := l.openSites(ctx, g, l.executors, mine.Grant.Tickets)
	for _, s := range g.sites {
		if err == nil {
			err = l.agree(s)
		}
	}
	return g, err
}

// outcome says how it went. What was granted may be of cores that somebody has just taken, or of a manager that has just ended.
func (a *joint[S]) outcome(ctx context.Context, own error, attempt int, mine award) outcome {
	o := outcome{Failure: tell(a.rank, own)}
	if own == nil || mine.Grant == nil || attempt >= staleGrants || ctx.Err() != nil {
		return o
	}
	var away *nodeAway
	switch {
	case errors.As(own, &away):
		o.Again, o.Pause = true, awayPause
	case errors.Is(own, ErrNoCapacity), errors.Is(own, errDrained), endedByPeer(own):
		o.Again = true
	}
	return o
}

// pause waits for so long, or until ctx ends.
func pause(ctx context.Context, patience time.Duration) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
