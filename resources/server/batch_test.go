package server

import (
	"errors"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sublet-hpc/sublet/resources/api"
)

// members ask for so many executors each.
func members(executors ...int) api.GrantAllRequest {
	request := api.GrantAllRequest{Each: api.GrantRequest{UID: uid, User: "ann"}}
	for _, n := range executors {
		request.Members = append(request.Members, api.Member{Executors: n, Owner: api.NewOwner().Public()})
	}
	return request
}

// forMembers is one over HTTP; the first member is the client itself.
func forMembers(c *api.Client, executors ...int) api.GrantAllRequest {
	request := members(executors...)
	request.Each.UID = os.Getuid()
	request.Members[0].Owner = c.Owner()
	return request
}

func (q queue) wantAll(request api.GrantAllRequest) *waiter {
	q.t.Helper()
	w, err := q.askAll(request, noon)
	check(q.t, err)
	return w
}

// Leases for all ranks are one command, and each is a lease like any other: with its name, its time and its end.
func TestLeasesForAllAreOneCommand(t *testing.T) {
	q := newQueue(t, 0, 1, 2, 3)
	register(t, q.book, noon, registration("m", "j", 0, 1))
	before := q.ledger.Revision()
	request := members(1, 2, 1)
	request.Members[1].Node = "m"
	w := q.wantAll(request)
	check(t, w.err)
	if after := q.ledger.Revision(); after != before+1 {
		t.Errorf("%d commands", after-before)
	}
	if len(w.leases) != 3 || w.leases[0].ID == w.leases[1].ID {
		t.Fatalf("%+v", w.leases)
	}
	if nodes := w.leases[1].Nodes(); len(w.leases[1].Executors) != 2 || len(nodes) != 1 || nodes[0] != "m" {
		t.Errorf("near m: %+v", w.leases[1])
	}
	for i, lease := range w.leases {
		tickets, err := q.tickets(lease, request.Members[i].Owner)
		check(t, err)
		ticket, err := api.ParseTicket(tickets[0].Ticket, []byte(strings.Repeat("k", api.KeySize)))
		check(t, err)
		if diff := cmp.Diff(request.Members[i].Owner, ticket.Owner); diff != "" || ticket.Lease != lease.ID {
			t.Errorf("ticket of member %d: %+v", i, ticket)
		}
	}
	// One ends alone.
	check(t, q.book.release(w.leases[2].ID, noon))
	if left := q.book.leases(); len(left) != 2 {
		t.Errorf("left: %+v", left)
	}
	// Nobody takes the others up.
	q.tick(noon.Add(TTL + time.Second))
	if left := q.book.leases(); len(left) != 0 {
		t.Errorf("after their time: %+v", left)
	}
}

// They are had together or not at all, also by those who wait: nobody passes them, and they pass nobody.
func TestLeasesForAllWaitTogether(t *testing.T) {
	q := newQueue(t, 0, 1, 2, 3)
	one := q.wait(3)
	request := members(1, 1, 1)
	if refused := q.wantAll(request); refused.err == nil || !mayWait(refused.err) || len(q.waiting) != 0 {
		t.Errorf("three of one free core: %v", refused.err)
	}
	request.Each.Wait = time.Minute
	all := q.wantAll(request)
	passing := q.wait(1)
	if executors(all) != 0 || executors(passing) != 0 {
		t.Fatalf("granted before there is room: %+v, %+v", all.leases, passing.leases)
	}
	explained, err := q.explain(all.command.Lease, noon)
	check(t, err)
	if w := explained.Waiting; w == nil || w.Executors != 3 || w.Asked[api.Cores] != 3 || w.Position != 1 {
		t.Errorf("%+v", explained)
	}
	q.release(one)
	if len(all.leases) != 3 || all.leases[0].ID != explained.ID || executors(passing) != 1 {
		t.Errorf("when there is room: %+v, %+v", all.leases, passing.leases)
	}
}

func TestLeasesForAllCountForTheQuota(t *testing.T) {
	q := newQueue(t, 0, 1, 2, 3)
	check(t, quotad(t, q.book, `{"accounts": {"small": {"cores": 2}}}`, ""))
	request := members(1, 1, 1)
	request.Each.Account = "small"
	wantQuota(t, q.wantAll(request), "small", "may have 2 cores at once and has 0, 3 more are asked for")
	request.Members = request.Members[:2]
	check(t, q.wantAll(request).err)
	wantQuota(t, askFor(t, q.book, "small", 1, 0), "has 2, 1 more")
}

func TestSenselessRequestsForAll(t *testing.T) {
	q := newQueue(t, 0)
	for name, change := range map[string]func(*api.GrantAllRequest){
		"nobody":           func(r *api.GrantAllRequest) { r.Members = nil },
		"nothing":          func(r *api.GrantAllRequest) { r.Members[0].Executors = 0 },
		"too much":         func(r *api.GrantAllRequest) { r.Members[0].Executors = 1 << 60 },
		"too much in sum":  func(r *api.GrantAllRequest) { r.Members[0].Executors, r.Members[1].Executors = maxExecutors, 1 },
		"waiting for ever": func(r *api.GrantAllRequest) { r.Each.Wait = maxWait + 1 },
		"a negative limit": func(r *api.GrantAllRequest) { r.Each.TimeLimit = -1 },
	} {
		request := members(1, 1)
		change(&request)
		if _, err := q.askAll(request, noon); !errors.Is(err, api.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	request := members(1)
	request.Each.UID++
	if _, err := q.askAll(request, noon); !errors.Is(err, api.ErrUnauthorized) {
		t.Errorf("another user: %v", err)
	}
	if w := q.wantAll(members(1)); w.err != nil {
		t.Errorf("after all that: %v", w.err)
	}
}

// Who waits for thousands of leases costs no more at each lease that ends than who waits for one.
func TestWaitingForManyLeasesCostsLittle(t *testing.T) {
	q := newQueue(t, 0, 1, 2, 3)
	one := q.wait(3)
	request := members(1)
	for range 10_000 {
		request.Members = append(request.Members, request.Members[0])
	}
	request.Each.Wait = time.Minute
	many := q.wantAll(request)
	if len(q.waiting) != 1 || !mayWait(many.err) {
		t.Fatalf("%d wait, %v", len(q.waiting), many.err)
	}
	var before, after runtime.MemStats
	const looks = 10
	runtime.ReadMemStats(&before)
	for range looks {
		q.serveWaiting(noon)
	}
	runtime.ReadMemStats(&after)
	if bytes := (after.TotalAlloc - before.TotalAlloc) / looks; bytes > 100_000 {
		t.Errorf("one look at who waits takes %d bytes", bytes)
	}
	q.release(one)
	if executors(many) != 0 {
		t.Errorf("%+v", many.leases)
	}
}

// What can be no node's name is not written to the ledger, and nobody is near to it.
func TestLeasesForAllFromWhatIsNoNode(t *testing.T) {
	q := newQueue(t, 0, 1)
	request := members(1, 1)
	request.Members[0].Node = strings.Repeat("x", 1<<20)
	request.Members[1].Node = "n n"
	w := q.wantAll(request)
	check(t, w.err)
	if w.shares[0].Near != "" || w.shares[1].Near != "" || len(w.leases) != 2 {
		t.Errorf("near %.20q and %q, %d leases", w.shares[0].Near, w.shares[1].Near, len(w.leases))
	}
}

// Who asks for all may end before the others' leases are known to be used.
func TestLeasesForAllOutliveWhoAsks(t *testing.T) {
	dir := t.TempDir()
	s, _ := running(t, dir)
	c, ctx := client(t, dir), t.Context()
	_, err := c.Register(ctx, mine("n", 0, 1, 2))
	check(t, err)
	asking, err := api.Open(dir)
	check(t, err)
	single, err := asking.Grant(ctx, api.GrantRequest{Executors: 1, UID: os.Getuid()})
	check(t, err)
	grants, err := asking.GrantAll(ctx, forMembers(asking, 1, 1))
	check(t, err)
	if len(grants) != 2 || grants[0].TTL != TTL || len(grants[1].Tickets) != 1 {
		t.Errorf("%+v", grants)
	}
	asking.Close()
	// Its own lease is the sign that it was noticed.
	for gone := false; !gone; {
		_, err := c.Lease(ctx, single.Lease.ID)
		gone = errors.Is(err, api.ErrUnknownLease)
		if !gone {
			check(t, err)
		}
	}
	leases, err := c.Leases(ctx)
	check(t, err)
	if len(leases) != 2 {
		t.Errorf("left are %+v", leases)
	}
	s.book.mu.Lock()
	defer s.book.mu.Unlock()
	for _, lease := range leases {
		if state := s.book.leaseState(lease.ID); state != api.LeaseOnTheWay {
			t.Errorf("%s is %s", lease.ID, state)
		}
	}
}
