package server

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"

	"github.com/sublet-hpc/sublet/resources/api"
)

// inspector stands between clients and a server, and holds both to the description.
type inspector struct {
	t      *testing.T
	next   http.Handler
	router routers.Router

	mu   sync.Mutex
	seen map[string]bool // operations that were answered well
}

func (i *inspector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		i.t.Error(err)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	route, parameters, err := i.router.FindRoute(r)
	if err != nil {
		i.t.Errorf("%s %s is not in the description: %v", r.Method, r.URL.Path, err)
		i.next.ServeHTTP(w, r)
		return
	}
	request := &openapi3filter.RequestValidationInput{
		Request: r, PathParams: parameters, Route: route,
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true},
	}
	if err := openapi3filter.ValidateRequest(ctx, request); err != nil {
		i.t.Errorf("%s %s: a request that is not as described: %v", r.Method, r.URL.Path, err)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	recorded := &recorder{statusWriter: statusWriter{ResponseWriter: w, status: http.StatusOK}}
	i.next.ServeHTTP(recorded, r)
	response := &openapi3filter.ResponseValidationInput{RequestValidationInput: request, Status: recorded.status, Header: recorded.Header()}
	response.SetBodyBytes(recorded.body.Bytes())
	response.Options = request.Options
	if err := openapi3filter.ValidateResponse(ctx, response); err != nil {
		i.t.Errorf("%s %s: an answer that is not as described: %v\n%s", r.Method, r.URL.Path, err, &recorded.body)
	}
	if recorded.status < 300 {
		i.mu.Lock()
		i.seen[route.Operation.OperationID] = true
		i.mu.Unlock()
	}
}

// recorder keeps what it passes on.
type recorder struct {
	statusWriter
	body bytes.Buffer
}

func (r *recorder) Write(text []byte) (int, error) {
	r.body.Write(text)
	return r.ResponseWriter.Write(text)
}

// inspected is a server whose clients speak to it through an inspector, and their run directory.
func inspected(t *testing.T) (s *Server, i *inspector, document *openapi3.T, dir string) {
	t.Helper()
	document, err := openapi3.NewLoader().LoadFromData(description)
	check(t, err)
	check(t, document.Validate(t.Context()))
	s, _ = running(t, t.TempDir())
	i = &inspector{t: t, next: s.handler(), seen: map[string]bool{}}
	i.router, err = legacy.NewRouter(document)
	check(t, err)
	web := httptest.NewUnstartedServer(i)
	web.TLS = s.keys.identity.Config()
	web.StartTLS()
	t.Cleanup(web.Close)
	dir = t.TempDir()
	access := s.directory.access
	access.URL = web.URL
	check(t, api.WriteAccess(dir, access))
	return s, i, document, dir
}

// What the server really answers, and what the client really asks, is as described: every operation, and
// refusals of every kind that can be met.
func TestAnswersAreAsDescribed(t *testing.T) {
	_, inspector, document, dir := inspected(t)
	c, ctx := client(t, dir), t.Context()
	refused := func(kind *api.Error, err error) {
		t.Helper()
		if !errors.Is(err, kind) {
			t.Errorf("%v, not refused as %s", err, kind.Code)
		}
	}

	full := mine("n1", 0, 1)
	full.Held = []api.Held{}
	full.Node.Account, full.Node.Memory = "a1", 1<<30
	full.Node.Reach = api.Reach{Address: "10.0.0.1:7", Boot: "b", Socket: "s", PID: 5}
	_, err := c.Register(ctx, full)
	check(t, err)
	other := mine("n2", 0)
	other.Held = []api.Held{}
	other.Instance, other.Node.Cores = "j", []int{}
	_, err = c.Register(ctx, other)
	check(t, err)
	full.Instance = "k"
	_, err = c.Register(ctx, full)
	refused(api.ErrExists, err)
	_, err = c.Register(ctx, api.Register{State: api.State{Held: []api.Held{}}, Key: []byte{}, Node: api.Node{Cores: []int{}}})
	refused(api.ErrInvalid, err)

	grant, err := c.Grant(ctx, api.GrantRequest{Executors: 1, UID: os.Getuid(), User: "ann", Account: "a1", Memory: api.MinMemory})
	check(t, err)
	_, err = c.Heartbeat(ctx, "n1", api.Heartbeat{Instance: "i", Beat: 1, State: api.State{
		Held:      []api.Held{{Lease: grant.Lease.ID, UID: os.Getuid(), User: "ann", Granted: grant.Lease.Granted, Executors: grant.Tickets[0].Executors}},
		Occupants: map[int]string{1: "rank pid 9"},
		Used:      []api.Used{computed(grant.Lease.ID, "a1", 1, time.Time{}), computed("before", "a2", 1, noon)},
	}})
	check(t, err)
	_, err = c.Bill(ctx, "a1", noon)
	check(t, err)
	_, err = c.Bill(ctx, "a9", noon)
	refused(api.ErrUnknownAccount, err)
	_, err = c.Grant(ctx, api.GrantRequest{Executors: 1, UID: os.Getuid()})
	refused(api.ErrNoCapacity, err)
	_, err = c.GrantAll(ctx, forMembers(c, 1, 1))
	refused(api.ErrNoCapacity, err)
	waited := make(chan error, 1)
	go func() {
		_, err := c.Grant(ctx, api.GrantRequest{Executors: 1, UID: os.Getuid(), User: "bob", Wait: time.Minute})
		waited <- err
	}()
	waiting := awaitWaiting(t, c)
	explanation, err := c.Explain(ctx, waiting.ID)
	check(t, err)
	if explanation.State != api.LeaseWaiting || len(explanation.Waiting.Holders) == 0 {
		t.Errorf("%+v", explanation)
	}
	_, err = c.Explain(ctx, grant.Lease.ID)
	check(t, err)
	_, err = c.Explain(ctx, "nothing")
	refused(api.ErrUnknownLease, err)
	_, err = c.Lease(ctx, grant.Lease.ID)
	check(t, err)
	_, err = c.Lease(ctx, waiting.ID)
	refused(api.ErrUnknownLease, err)
	_, err = c.Renew(ctx, grant.Lease.ID)
	check(t, err)
	_, err = c.Leases(ctx)
	check(t, err)
	_, err = c.Nodes(ctx, "b")
	check(t, err)
	_, err = c.Node(ctx, "n1")
	check(t, err)
	_, err = c.Node(ctx, "n9")
	refused(api.ErrUnknownNode, err)

	check(t, c.Drain(ctx, "n1", "new kernel"))
	refused(api.ErrUnknownNode, c.Drain(ctx, "n9", ""))
	refused(api.ErrInvalid, c.Drain(ctx, "n1", strings.Repeat("x", 501)))
	reply, err := c.Heartbeat(ctx, "n1", api.Heartbeat{Instance: "i", Beat: 2, State: api.State{Held: []api.Held{}}})
	check(t, err)
	if reply.Drain == nil || reply.Drain.Reason != "new kernel" {
		t.Errorf("the manager is told %+v", reply.Drain)
	}
	_, err = c.Status(ctx)
	check(t, err)
	refused(api.ErrInUse, c.Remove(ctx, "n1", false))
	check(t, c.Resume(ctx, "n1"))
	check(t, <-waited)
	check(t, c.End(ctx, grant.Lease.ID))
	reply, err = c.Heartbeat(ctx, "n1", api.Heartbeat{Instance: "i", Beat: 3, State: api.State{Held: []api.Held{
		{Lease: grant.Lease.ID, UID: os.Getuid(), User: "ann", Granted: grant.Lease.Granted, Executors: grant.Tickets[0].Executors},
	}}})
	check(t, err)
	if len(reply.End) != 1 || reply.End[0] != grant.Lease.ID {
		t.Errorf("the manager is told to end %v", reply.End)
	}
	_, err = c.Heartbeat(ctx, "n1", api.Heartbeat{Instance: "i", Beat: 4, State: api.State{Held: []api.Held{}, Ended: []string{grant.Lease.ID}}})
	check(t, err)
	refused(api.ErrUnknownLease, c.End(ctx, grant.Lease.ID))
	grant, err = c.Grant(ctx, api.GrantRequest{Executors: 1, UID: os.Getuid()})
	check(t, err)
	check(t, c.Release(ctx, grant.Lease.ID))
	refused(api.ErrUnknownLease, c.Release(ctx, grant.Lease.ID))
	grants, err := c.GrantAll(ctx, forMembers(c, 1))
	check(t, err)
	check(t, c.Release(ctx, grants[0].Lease.ID))
	check(t, c.Remove(ctx, "n1", true))
	_, err = c.Heartbeat(ctx, "n1", api.Heartbeat{Instance: "i", Beat: 5, State: api.State{Held: []api.Held{}}})
	refused(api.ErrRemoved, err)
	check(t, c.Deregister(ctx, "n2", "j"))
	refused(api.ErrUnknownNode, c.Deregister(ctx, "n2", "j"))

	access := c.Access()
	for path, want := range map[string]string{"/v1/openapi.json": `"openapi"`, "/metrics": "sublet_cluster_leases_ended_total"} {
		token := access.Tokens.Client
		if path == "/v1/openapi.json" {
			token = "" // it is for everybody
		}
		if status, body := get(t, access.Pin, access.URL+path, token); status != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s: %d %.300s", path, status, body)
		}
	}
	for path, item := range document.Paths.Map() {
		for method, operation := range item.Operations() {
			if !inspector.seen[operation.OperationID] {
				t.Errorf("%s %s has not been tried", method, path)
			}
		}
	}
}

// Nothing else is open to those without the token, and what is described is there.
func TestDescribedRoutesNeedTheToken(t *testing.T) {
	s, _, document, _ := inspected(t)
	for path, item := range document.Paths.Map() {
		for method := range item.Operations() {
			request, err := http.NewRequestWithContext(t.Context(), method, s.URL()+strings.NewReplacer("{", "", "}", "").Replace(path), nil)
			check(t, err)
			response, err := pinned(s.keys.identity.Pin).Do(request)
			check(t, err)
			response.Body.Close()
			want := http.StatusUnauthorized
			if path == "/v1/openapi.json" {
				want = http.StatusOK
			}
			if response.StatusCode != want {
				t.Errorf("%s %s without a token: %d", method, path, response.StatusCode)
			}
		}
	}
}

// pinned talks to one server, with a connection for each request.
func pinned(pin api.Pin) *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: pin.Config()}}
}

// awaitWaiting returns the one request that waits, once it does.
func awaitWaiting(t *testing.T, c *api.Client) api.Waiting {
	t.Helper()
	for until := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
		status, err := c.Status(t.Context())
		check(t, err)
		if len(status.Waiting) == 1 {
			return status.Waiting[0]
		}
		if time.Now().After(until) {
			t.Fatalf("nobody waits: %+v", status)
		}
	}
}

func get(t *testing.T, pin api.Pin, url, token string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	check(t, err)
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	web := pinned(pin)
	response, err := web.Do(request)
	check(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	check(t, err)
	return response.StatusCode, string(body)
}
