package manager

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/sublet-hpc/sublet/internal/control"
	"github.com/sublet-hpc/sublet/resources/api"
)

// A manager that is told to end, or whose allocation does, retires: its clients hear of it, send nothing more, and
// give their leases back when what was in flight has been answered. It ends when it has no leases any more, or when
// its time is over, with what runs then.
//
//	lending ── SIGTERM, or its allocation ends soon ──▶ retiring ── no leases, or the grace is over ──▶ ended

// tenants are the leases that a manager has, and whether it retires.
type tenants struct {
	mu      sync.Mutex
	leases  map[*lease]bool // and whether they have been granted
	outlook api.Outlook
	empty   chan struct{} // closed when it retires and has no leases
}

func newTenants() *tenants { return &tenants{leases: map[*lease]bool{}, empty: make(chan struct{})} }

// enter counts a lease that is asked for.
func (t *tenants) enter(l *lease) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.leases[l] = false
}

// granted notes that its client has the lease. One that comes late, with a ticket of before, hears at once that it has to
// go elsewhere.
func (t *tenants) granted(l *lease) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.leases[l] = true
	if t.outlook.Leaving != "" {
		l.tellRetiring(t.outlook.Leaving)
	}
}

// leave is for a lease of which nothing is left.
func (t *tenants) leave(l *lease) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.leases, l)
	t.look()
}

// look tells who waits that there are no leases any more. mu is held.
func (t *tenants) look() {
	if t.outlook.Leaving == "" || len(t.leases) > 0 {
		return
	}
	select {
	case <-t.empty:
	default:
		close(t.empty)
	}
}

// retire tells all clients; it returns how many leases there are.
func (t *tenants) retire(reason string, at time.Time) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.outlook.Leaving != "" {
		return len(t.leases)
	}
	t.outlook.Leaving, t.outlook.Since = reason, at.Round(0).UTC()
	for l, granted := range t.leases {
		if granted {
			l.tellRetiring(reason)
		}
	}
	t.look()
	return len(t.leases)
}

// foresee says when the node's allocation ends.
func (t *tenants) foresee(ends, lendsUntil time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.outlook.Ends, t.outlook.LendsUntil = ends.Round(0).UTC(), lendsUntil.Round(0).UTC()
}

// foreseen is what the resource manager is told.
func (t *tenants) foreseen() api.Outlook {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.outlook
}

// tellRetiring tells the client, without waiting for it.
func (l *lease) tellRetiring(reason string) {
	go l.client.send(control.TypeDrain, 0, control.Manager, control.Drain{Reason: reason})
}

// refuseLate refuses a lease without a ticket: nobody has granted it before.
func (m *Manager) refuseLate(request control.LeaseRequest) error {
	leaving := m.tenants.foreseen().Leaving
	if leaving == "" || request.Ticket != "" {
		return nil
	}
	return &control.Failed{Code: control.CodeNoCapacity, Text: fmt.Sprintf("the executor manager on %s is about to end (%s), and takes no new leases", m.node.Name, leaving)}
}

// Retirement says when a manager retires and how long it may take to.
type Retirement struct {
	// Ends is when the allocation ends, whatever runs there then; zero: never.
	Ends time.Time
	// LookUpEnds finds that out where Ends does not say, and shortly before the manager retires once more; nil, or a zero time:
	// never. It may take long: the node is lent meanwhile.
	LookUpEnds func(context.Context) (time.Time, error)
	// Changes are later words about when the allocation ends, by who has started the manager; the zero time: never. Nil: nobody says so.
	Changes <-chan time.Time
	// DrainBefore is how long before that the manager retires. Of an allocation that lasts less than twice as long it
	// is half of what is left.
	DrainBefore time.Duration
	// Grace is how long what is in flight may take when the manager was told to end.
	Grace time.Duration
}

// lastMoment is how long before the end of its allocation a manager ends what is still there.
const lastMoment = 2 * time.Second

// retire waits until the manager is to retire, because ctx ends or its allocation does, and then until it has no leases
// or its time is over. It returns early when done ends. changed has the resource manager told.
func (m *Manager) retire(ctx, done context.Context, r Retirement, changed func()) {
	ends := make(chan time.Time, 1)
	switch {
	case !r.Ends.IsZero():
		ends <- m.foresee(r.Ends, r.DrainBefore)
	case r.LookUpEnds != nil:
		go m.lookUp(done, r, ends, changed)
	}
	var retires, over, again <-chan time.Time // once over is there, the others do not count
	for told := ctx.Done(); ; {
		select {
		case <-ends:
			if over == nil {
				retires, again = m.awaitRetirement(r)
			}
		case end := <-r.Changes:
			if over == nil { // else it ends already
				m.foresee(end, r.DrainBefore)
				retires, again = m.awaitRetirement(r)
				changed()
			}
		case <-again:
			go m.lookAgain(done, r, ends, changed)
		case <-retires:
			end := m.tenants.foreseen().Ends
			m.beginRetiring("its allocation ends at "+end.Format(time.RFC3339), changed)
			over, retires = time.After(max(0, time.Until(end)-lastMoment)), nil
		case <-told:
			m.beginRetiring("it was told to end", changed)
			grace := r.Grace
			if end := m.tenants.foreseen().Ends; !end.IsZero() {
				grace = max(0, min(grace, time.Until(end)-lastMoment))
			}
			over, told, retires = time.After(grace), nil, nil
		case <-over:
			if leases := m.tenants.count(); leases > 0 {
				m.log.Warn("what still runs is ended with this executor manager", "leases", leases)
			}
			return
		case <-m.tenants.empty:
			return
		case <-done.Done():
			return
		}
	}
}

// awaitRetirement waits for when the manager is to retire, as far as is known now, and for when to look before that whether it still is;
// nil: never.
func (m *Manager) awaitRetirement(r Retirement) (retires, again <-chan time.Time) {
	at := m.tenants.foreseen().LendsUntil
	if at.IsZero() {
		return nil, nil
	}
	return time.After(time.Until(at)), r.lookAgainAfter(at)
}

func (m *Manager) beginRetiring(reason string, changed func()) {
	m.pool.setIdle(true)
	leases := m.tenants.retire(reason, time.Now())
	m.log.Info("this node takes no new leases, and those that it has go elsewhere", "reason", reason, "leases", leases)
	changed()
}

// foresee notes when the allocation ends, and returns when the manager is to retire; zero times: never.
func (m *Manager) foresee(ends time.Time, drainBefore time.Duration) time.Time {
	if known := m.tenants.foreseen(); known.Ends.Equal(ends) {
		return known.LendsUntil
	}
	if ends.IsZero() {
		m.tenants.foresee(ends, ends)
		m.log.Info("this node's allocation has no end any more")
		return ends
	}
	left := time.Until(ends)
	lendsUntil := ends.Add(-max(0, min(drainBefore, left/2)))
	m.tenants.foresee(ends, lendsUntil)
	m.log.Info("this node's allocation ends", "ends", ends, "lends_until", lendsUntil)
	return lendsUntil
}

// lookAgainBefore is how long before a manager is to retire, and at most half as much more, it looks whether its allocation has been made
// longer since.
const lookAgainBefore = 30 * time.Second

// lookAgainAfter waits for that; nil: it is not worth it, or nobody could be asked.
func (r Retirement) lookAgainAfter(retires time.Time) <-chan time.Time {
	before := lookAgainBefore + rand.N(lookAgainBefore/2) // many managers of one job do not ask at once
	if r.LookUpEnds == nil || time.Until(retires) < before {
		return nil
	}
	return time.After(time.Until(retires) - before)
}

// lookAgain finds out whether the allocation ends at another time by now. If nobody answers, what was known counts.
func (m *Manager) lookAgain(done context.Context, r Retirement, ends chan<- time.Time, changed func()) {
	end, err := r.LookUpEnds(done)
	switch {
	case err != nil:
		m.log.Warn("whether this node's allocation was made longer could not be found out", "error", err)
	case !end.IsZero() && !end.Equal(m.tenants.foreseen().Ends):
		ends <- m.foresee(end, r.DrainBefore)
		changed()
	}
}

const (
	// firstLookUpPause is how long to wait after asking in vain when the allocation ends; it doubles each time.
	firstLookUpPause = 5 * time.Second
	lastLookUpPause  = 5 * time.Minute
)

// lookUp finds out when the allocation ends. Who knows that may not answer for a while.
func (m *Manager) lookUp(done context.Context, r Retirement, ends chan<- time.Time, changed func()) {
	for pause := firstLookUpPause; ; pause = min(2*pause, lastLookUpPause) {
		end, err := r.LookUpEnds(done)
		switch {
		case err == nil && end.IsZero():
			return
		case err == nil:
			ends <- m.foresee(end, r.DrainBefore)
			changed()
			return
		}
		again := pause + rand.N(pause) // many managers of one job do not ask at once
		m.log.Warn("when this node's allocation ends could not be found out; it is asked again (--ends says it)", "error", err, "after", again.Round(time.Second))
		select {
		case <-time.After(again):
		case <-done.Done():
			return
		}
	}
}

func (t *tenants) count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.leases)
}
