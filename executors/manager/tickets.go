package manager

import (
	"crypto/rand"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sublet-hpc/sublet/resources/api"
)

// tickets admit the leases of a resource manager, and remember them for the reports to it.
//
//	unknown ── use: signed, for this node, in time, its owner's ──▶ held ── over ──▶ ended ── reported, and its
//	                                                                      ticket has expired ──▶ forgotten
type tickets struct {
	node string
	uid  int
	key  []byte

	mu    sync.Mutex
	held  map[string]*heldTicket // by lease
	ended map[string]endedTicket
	// changed is called, without waiting, when there is something to report.
	changed func()
}

type heldTicket struct {
	api.Ticket
	end   func() // ends the client's connection, and with it the lease
	meter *meter // nil: it has no cores yet
}

type endedTicket struct {
	expires  time.Time // until when the ticket could be used again
	used     *api.Used // nil: nothing
	reported bool
}

func newTickets(uid int, changed func()) *tickets {
	t := &tickets{uid: uid, key: make([]byte, api.KeySize), held: map[string]*heldTicket{}, ended: map[string]endedTicket{}, changed: changed}
	_, _ = rand.Read(t.key) // never fails
	return t
}

// shown is a ticket with what shows whose it is.
type shown struct {
	text string
	// proof is the client's, to the challenge that it was sent on this connection.
	proof, challenge []byte
}

// use admits a lease: once.
func (t *tickets) use(its shown, now time.Time) (*api.Ticket, error) {
	text := its.text
	if text == "" {
		return nil, api.Because(api.ErrUnauthorized, "a resource manager lends these cores, so that a lease needs its ticket; set SUBLET_DIR to its run directory")
	}
	ticket, err := api.ParseTicket(text, t.key)
	if err != nil {
		return nil, err
	}
	switch {
	case ticket.Node != t.node:
		return nil, api.Because(api.ErrUnauthorized, "the ticket of lease %s is for node %s", ticket.Lease, ticket.Node)
	case ticket.UID != t.uid:
		return nil, api.Because(api.ErrUnauthorized, "the ticket of lease %s is for user %s (%d)", ticket.Lease, ticket.User, ticket.UID)
	case !now.Before(ticket.Expires):
		return nil, api.Because(api.ErrUnauthorized, "the ticket of lease %s has expired %v ago; do the clocks of the nodes agree?", ticket.Lease, now.Sub(ticket.Expires).Round(time.Millisecond))
	case !ticket.OwnedBy(its.proof, its.challenge, text):
		return nil, api.Because(api.ErrUnauthorized, "the ticket of lease %s is not this client's", ticket.Lease)
	case len(ticket.Executors) == 0 || ticket.Lease == "":
		return nil, api.Because(api.ErrInvalid, "the ticket is for nothing")
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	_, ended := t.ended[ticket.Lease]
	if ended || t.held[ticket.Lease] != nil {
		return nil, api.Because(api.ErrUnauthorized, "the ticket of lease %s has been used", ticket.Lease)
	}
	t.held[ticket.Lease] = &heldTicket{Ticket: ticket}
	t.changed()
	return &ticket, nil
}

// bind says how a lease is ended.
func (t *tickets) bind(lease string, end func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if ticket := t.held[lease]; ticket != nil {
		ticket.end = end
	}
}

// measure says what counts a lease's usage.
func (t *tickets) measure(lease string, meter *meter) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if ticket := t.held[lease]; ticket != nil {
		ticket.meter = meter
	}
}

// used is what the lease has used so far; nil: it has had nothing.
func (h *heldTicket) used(now time.Time) *api.Used {
	if h.meter == nil {
		return nil
	}
	usage, began, over := h.meter.read(now)
	return &api.Used{Lease: h.Lease, User: h.User, Account: h.Account, Began: began.Round(0).UTC(), Ended: over.Round(0).UTC(), Usage: usage}
}

// end ends a lease because the resource manager says so.
func (t *tickets) end(lease string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if ticket := t.held[lease]; ticket != nil && ticket.end != nil {
		ticket.end()
	}
}

// over notes that nothing of a lease is left.
func (t *tickets) over(lease string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	ticket := t.held[lease]
	if ticket == nil {
		return
	}
	delete(t.held, lease)
	t.ended[lease] = endedTicket{expires: ticket.Expires, used: ticket.used(time.Now())}
	t.changed()
}

// report lists what is held, what has ended and was not reported, and what both have used.
func (t *tickets) report(now time.Time) (held []api.Ticket, ended []string, used []api.Used) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, ticket := range t.held {
		held = append(held, ticket.Ticket)
		if its := ticket.used(now); its != nil {
			used = append(used, *its)
		}
	}
	for lease, e := range t.ended {
		if e.reported {
			continue
		}
		ended = append(ended, lease)
		if e.used != nil {
			used = append(used, *e.used)
		}
	}
	slices.Sort(ended)
	slices.SortFunc(used, func(a, b api.Used) int { return strings.Compare(a.Lease, b.Lease) })
	return held, ended, used
}

// reported notes that the resource manager knows that leases have ended.
func (t *tickets) reported(leases []string, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, lease := range leases {
		e := t.ended[lease]
		e.reported, e.used = true, nil
		t.ended[lease] = e
	}
	for lease, e := range t.ended {
		if e.reported && now.After(e.expires) {
			delete(t.ended, lease)
		}
	}
}
