package server

import (
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sublet-hpc/sublet/resources/api"
	"github.com/sublet-hpc/sublet/resources/replica"
)

const uid = 7

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// tester is a *testing.T, or rapid's.
type tester interface {
	Helper()
	Fatal(...any)
	Cleanup(func())
}

// emptyDirectory is removed at the end.
func emptyDirectory(t tester) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "sublet-book-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func testBook(t tester) *book {
	t.Helper()
	return bookIn(t, emptyDirectory(t), noon)
}

// bookIn opens the book of a ledger that may have been there before.
func bookIn(t tester, dir string, at time.Time) *book {
	t.Helper()
	its, err := replica.Open(replica.Options{Place: replica.Place{Directory: dir}})
	if err != nil {
		t.Fatal(err)
	}
	b := newBook(uid, its, slog.New(slog.DiscardHandler), at)
	t.Cleanup(b.shut)
	return b
}

// shut closes the book's ledger, once.
func (b *book) shut() {
	if b.ledger != nil {
		_ = b.ledger.Close()
	}
	b.ledger = nil
}

func registration(name, instance string, cores ...int) api.Register {
	return api.Register{
		Node:     api.Node{Name: name, UID: uid, User: "ann", Cores: cores},
		Instance: instance, Key: []byte(strings.Repeat("k", api.KeySize)),
	}
}

func register(t testing.TB, b *book, at time.Time, r api.Register) api.HeartbeatReply {
	t.Helper()
	reply, err := b.register(r, at)
	check(t, err)
	return reply
}

func ask(t testing.TB, b *book, at time.Time, executors int) *waiter {
	t.Helper()
	w, err := b.ask(api.GrantRequest{Executors: executors, UID: uid}, at)
	check(t, err)
	return w
}

func granted(t testing.TB, b *book, at time.Time, executors int) api.Lease {
	t.Helper()
	w := ask(t, b, at, executors)
	check(t, w.err)
	return w.lease
}

// held is what the manager of a node has of a lease.
func held(lease api.Lease, node string) api.Held {
	h := api.Held{Lease: lease.ID, UID: uid, Granted: lease.Granted}
	for i, e := range lease.Executors {
		if e.Node == node {
			h.Executors = append(h.Executors, api.Placed{Index: i, Executor: e})
		}
	}
	return h
}

func free(b *book) (free int) {
	for _, node := range b.nodes("", noon) {
		free += int(node.Free[api.Cores])
	}
	return free
}
