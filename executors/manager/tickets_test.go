package manager

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sublet-hpc/sublet/resources/api"
)

// Whatever is signed, a manager admits at most what is for it, now, and once.
func FuzzUse(f *testing.F) {
	now, owner := time.Unix(1000, 0), api.NewOwner()
	public := base64.StdEncoding.EncodeToString(owner.Public())
	for _, body := range []string{
		`{"lease":"l","node":"n","uid":7,"owner":"` + public + `","expires":"2026-01-01T00:00:00Z","executors":[{"index":0,"core":1}]}`,
		`{"lease":"l","node":"n","uid":7,"expires":"2026-01-01T00:00:00Z","executors":[{"index":0,"core":1}]}`,
		`{"lease":"l","node":"n","uid":7,"expires":"2026-01-01T00:00:00Z","executors":null}`,
		`{"lease":1}`, `null`, `[]`, ``,
	} {
		f.Add(body, "")
	}
	f.Add(`{}`, "x")
	f.Add(`{"lease":"l","node":"n","uid":7,"expires":"2026-01-01T00:00:00Z","executors":[{"index":0,"core":1}]}`, "\n")
	f.Fuzz(func(t *testing.T, body, more string) {
		tickets := newTickets(7, func() {})
		tickets.node = "n"
		encoded := base64.RawURLEncoding.EncodeToString([]byte(body))
		mac := hmac.New(sha256.New, tickets.key)
		mac.Write([]byte(encoded))
		text := encoded + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil)) + more
		ticket, err := tickets.use(showing(owner, text), now)
		if err != nil {
			return
		}
		if more != "" || !bytes.Equal(ticket.Owner, owner.Public()) || ticket.Node != "n" || ticket.UID != 7 || ticket.Lease == "" || len(ticket.Executors) == 0 || !now.Before(ticket.Expires) {
			t.Errorf("%q%s was admitted as %+v", body, more, ticket)
		}
		if _, err := tickets.use(showing(owner, text), now); err == nil {
			t.Errorf("%q was admitted twice", body)
		}
	})
}

// showing is a ticket shown by a client, with a challenge that is always the same.
func showing(owner api.Owner, text string) shown {
	challenge := make([]byte, api.NonceSize)
	return shown{text, owner.Proof(challenge, text), challenge}
}

func TestTicketsAreAdmittedOnce(t *testing.T) {
	changes := 0
	tickets := newTickets(7, func() { changes++ })
	tickets.node = "n"
	now, owner := time.Unix(1000, 0), api.NewOwner()
	good := api.Ticket{Lease: "l", Node: "n", UID: 7, Owner: owner.Public(), Expires: now.Add(time.Second), Executors: []api.Placed{{}}}
	sign := func(change func(*api.Ticket)) string {
		ticket := good
		change(&ticket)
		text, err := ticket.Sign(tickets.key)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	for problem, text := range map[string]string{
		"needs its ticket":  "",
		"signature":         sign(func(*api.Ticket) {}) + "x",
		"for node m":        sign(func(t *api.Ticket) { t.Node = "m" }),
		"for user":          sign(func(t *api.Ticket) { t.UID = 8 }),
		"has expired":       sign(func(t *api.Ticket) { t.Expires = now }),
		"for nothing":       sign(func(t *api.Ticket) { t.Executors = nil }),
		"not this client's": sign(func(t *api.Ticket) { t.Owner = api.NewOwner().Public() }),
	} {
		if _, err := tickets.use(showing(owner, text), now); err == nil || !strings.Contains(err.Error(), problem) {
			t.Errorf("%s: %v", problem, err)
		}
	}
	nobodys := sign(func(t *api.Ticket) { t.Owner = nil })
	if _, err := tickets.use(showing(owner, nobodys), now); err == nil {
		t.Error("a ticket without an owner is everybody's")
	}
	overheard, other := showing(owner, sign(func(*api.Ticket) {})), make([]byte, api.NonceSize)
	other[0] = 1
	for _, its := range []shown{
		{overheard.text, nil, overheard.challenge},
		{overheard.text, overheard.proof, other}, // on another connection
		{overheard.text, owner.Proof(nil, overheard.text), nil},
		{sign(func(t *api.Ticket) { t.Lease = "m" }), overheard.proof, overheard.challenge},
	} {
		if _, err := tickets.use(its, now); err == nil || !strings.Contains(err.Error(), "not this client's") {
			t.Errorf("what was overheard: %v", err)
		}
	}
	if changes != 0 {
		t.Errorf("refused tickets changed something %d times", changes)
	}
	text := sign(func(*api.Ticket) {})
	if _, err := tickets.use(showing(owner, text), now); err != nil {
		t.Fatal(err)
	}
	ended := false
	tickets.bind("l", func() { ended = true })
	for range 2 { // while it is held, and when it is over
		if _, err := tickets.use(showing(owner, text), now); !errors.Is(err, api.ErrUnauthorized) || !strings.Contains(err.Error(), "has been used") {
			t.Errorf("a ticket once more: %v", err)
		}
		if held, _, _ := tickets.report(now); len(held) == 1 {
			tickets.end("l")
			tickets.over("l")
		}
	}
	if !ended || changes != 2 {
		t.Errorf("ended: %v, %d changes", ended, changes)
	}
	held, over, _ := tickets.report(now)
	if diff := cmp.Diff([]string{"l"}, over); diff != "" || len(held) != 0 {
		t.Errorf("held: %v, ended: %s", held, diff)
	}
	tickets.reported(over, now)
	if _, over, _ := tickets.report(now); len(over) != 0 {
		t.Errorf("reported twice: %v", over)
	}
	if _, err := tickets.use(showing(owner, text), now); err == nil {
		t.Error("a reported ticket is as good as new")
	}
	tickets.reported(nil, now.Add(time.Minute))
	if len(tickets.ended) != 0 {
		t.Errorf("expired tickets are kept: %v", tickets.ended)
	}
	tickets.over("unknown") // nothing
}
