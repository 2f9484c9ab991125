package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sublet-hpc/sublet/resources/api"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// running starts a server in a directory; stop ends it.
func running(t testing.TB, dir string) (s *Server, stop func()) {
	return runningWith(t, Options{Directory: dir})
}

func runningWith(t testing.TB, options Options) (s *Server, stop func()) {
	t.Helper()
	s, err := Open(options)
	check(t, err)
	return s, run(t, s)
}

// run runs a server until stop, or the end of the test.
func run(t testing.TB, s *Server) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	stop = func() {
		if cancel != nil {
			cancel()
			cancel = nil
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	}
	t.Cleanup(stop)
	return stop
}

func client(t testing.TB, dir string) *api.Client {
	t.Helper()
	c, err := api.Open(dir)
	check(t, err)
	t.Cleanup(c.Close)
	return c
}

// mine is a node of ours.
func mine(name string, cores ...int) api.Register {
	r := registration(name, "i", cores...)
	r.Node.UID = os.Getuid()
	return r
}

func TestOverHTTP(t *testing.T) {
	dir := t.TempDir()
	s, stop := running(t, dir)
	c, ctx := client(t, dir), t.Context()
	registered, err := c.Register(ctx, mine("a:b_c", 0, 1))
	check(t, err)
	if registered.Interval != Interval {
		t.Errorf("%+v", registered)
	}
	_, err = c.Heartbeat(ctx, "a:b_c", api.Heartbeat{Instance: "i", Beat: 1, State: api.State{Occupants: map[int]string{1: "rank pid 5"}}})
	check(t, err)
	grant, err := c.Grant(ctx, api.GrantRequest{Executors: 1, UID: os.Getuid(), User: "ann"})
	check(t, err)
	if len(grant.Tickets) != 1 || grant.Tickets[0].Node != "a:b_c" || grant.TTL != TTL {
		t.Errorf("%+v", grant)
	}
	_, err = c.Grant(ctx, api.GrantRequest{Executors: 1, UID: os.Getuid()})
	if !errors.Is(err, api.ErrNoCapacity) || !strings.Contains(err.Error(), "rank pid 5") {
		t.Errorf("when all is lent: %v", err)
	}
	waited := make(chan error, 1)
	go func() {
		_, err := c.Grant(ctx, api.GrantRequest{Executors: 1, UID: os.Getuid(), Wait: time.Minute})
		waited <- err
	}()
	_, err = c.Renew(ctx, grant.Lease.ID)
	check(t, err)
	check(t, c.Release(ctx, grant.Lease.ID))
	check(t, <-waited)
	for what, err := range map[string]error{
		"renewal of an ended lease": func() error { _, err := c.Renew(ctx, grant.Lease.ID); return err }(),
		"release of an ended lease": c.Release(ctx, grant.Lease.ID),
	} {
		if !errors.Is(err, api.ErrUnknownLease) {
			t.Errorf("%s: %v", what, err)
		}
	}
	check(t, c.Deregister(ctx, "a:b_c", "i"))
	nodes, err := c.Nodes(ctx, "")
	check(t, err)
	leases, err := c.Leases(ctx)
	check(t, err)
	if nodes == nil || leases == nil || len(nodes)+len(leases) != 0 {
		t.Errorf("left: %v, %v", nodes, leases)
	}
	// Who waits when it ends is told.
	go func() {
		_, err := c.Grant(ctx, api.GrantRequest{Executors: 1, UID: os.Getuid(), Wait: time.Minute})
		waited <- err
	}()
	waits := func() bool {
		s.book.mu.Lock()
		defer s.book.mu.Unlock()
		return len(s.book.waiting) > 0
	}
	for !waits() {
		time.Sleep(time.Millisecond)
	}
	stop()
	if err := <-waited; !errors.Is(err, api.ErrUnavailable) {
		t.Errorf("a lease of a resource manager that has ended: %v", err)
	}
	if _, err := api.ReadAccess(dir); !errors.Is(err, api.ErrNoResourceManager) {
		t.Errorf("access.json is left: %v", err)
	}
}

// What strangers and broken clients send is refused, and nothing else happens.
func TestRefusals(t *testing.T) {
	dir := t.TempDir()
	s, _ := running(t, dir)
	token, web := s.keys.tokens.Admin, pinned(s.keys.identity.Pin)
	owner, err := json.Marshal(api.NewOwner().Public())
	check(t, err)
	for _, c := range []struct {
		method, path, token, body string
		want                      *api.Error
	}{
		{"GET", "/v1/nodes", "", "", api.ErrUnauthorized},
		{"GET", "/v1/nodes", "Bearer x", "", api.ErrUnauthorized},
		{"GET", "/v1/nodes", "Basic " + token, "", api.ErrUnauthorized},
		{"GET", "/v2/nodes", "Bearer " + token, "", api.ErrVersion},
		{"PUT", "/v1/nodes", "Bearer " + token, "", api.ErrVersion},
		{"POST", "/v1/leases", "Bearer " + token, "", api.ErrInvalid},
		{"POST", "/v1/leases", "Bearer " + token, "hello", api.ErrInvalid},
		{"POST", "/v1/leases", "Bearer " + token, "{}{}", api.ErrInvalid},
		{"POST", "/v1/leases", "Bearer " + token, `{"executors":"many"}`, api.ErrInvalid},
		{"POST", "/v1/leases", "Bearer " + token, fmt.Sprintf(`{"executors":0,"uid":%d,"owner":%s}`, os.Getuid(), owner), api.ErrInvalid},
		{"POST", "/v1/leases", "Bearer " + token, fmt.Sprintf(`{"executors":1000000,"uid":%d,"owner":%s}`, os.Getuid(), owner), api.ErrInvalid},
		{"POST", "/v1/leases", "Bearer " + token, fmt.Sprintf(`{"executors":1,"uid":%d,"wait":-1,"owner":%s}`, os.Getuid(), owner), api.ErrInvalid},
		{"POST", "/v1/leases", "Bearer " + token, fmt.Sprintf(`{"executors":1,"uid":%d,"owner":%s}`, os.Getuid()+1, owner), api.ErrUnauthorized},
		{"POST", "/v1/leases", "Bearer " + token, fmt.Sprintf(`{"executors":1,"uid":%d}`, os.Getuid()), api.ErrInvalid},
		{"POST", "/v1/nodes", "Bearer " + token, `{"node":{"name":"` + strings.Repeat("x", maxBody) + `"}}`, api.ErrInvalid},
		{"POST", "/v1/nodes/n/heartbeat", "Bearer " + token, `{"instance":"i"}`, api.ErrUnknownNode},
		{"DELETE", "/v1/nodes/n", "Bearer " + token, ``, api.ErrUnknownNode},
	} {
		request, err := http.NewRequestWithContext(t.Context(), c.method, s.URL()+c.path, strings.NewReader(c.body))
		check(t, err)
		request.Header.Set("Authorization", c.token)
		response, err := web.Do(request)
		check(t, err)
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		check(t, err)
		if want := `"code":"` + string(c.want.Code) + `"`; !strings.Contains(string(body), want) || response.StatusCode != statuses[c.want.Code] {
			t.Errorf("%s %s %.40s: %d %.200s", c.method, c.path, c.body, response.StatusCode, body)
		}
	}
	if len(s.book.nodes("", time.Now())) != 0 {
		t.Error("something was registered")
	}
}

// One directory has one resource manager at a time.
func TestTwoInOneDirectory(t *testing.T) {
	dir := t.TempDir()
	s, stop := running(t, dir)
	if _, err := Open(Options{Directory: dir}); err == nil || !strings.Contains(err.Error(), s.URL()) || !strings.Contains(err.Error(), "--dir") {
		t.Errorf("a second one: %v", err)
	}
	stop()
	_, stop = running(t, dir)
	stop()
	// One that was killed leaves its file, which keeps nobody out.
	check(t, api.WriteAccess(dir, api.AccessFile{
		Version: api.AccessVersion, URL: "https://127.0.0.1:1", Pin: s.keys.identity.Pin, Tokens: api.Tokens{Admin: "t"},
	}))
	_, stop = running(t, dir)
	stop()
}

// Without a name it makes a directory of its own, to which a link points, and leaves nothing.
func TestDirectoryOfItsOwn(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv(api.DirectoryVariable, "")
	s, stop := running(t, "")
	c, err := api.Open("")
	check(t, err)
	defer c.Close()
	if c.Access().URL != s.URL() {
		t.Errorf("found %+v", c.Access())
	}
	info, err := os.Stat(s.Directory())
	check(t, err)
	if info.Mode().Perm() != 0o700 {
		t.Errorf("its directory has mode %v", info.Mode())
	}
	if _, err := Open(Options{}); err == nil || !strings.Contains(err.Error(), "runs already") {
		t.Errorf("a second one: %v", err)
	}
	stop()
	left, err := os.ReadDir(filepath.Join(home, ".sublet"))
	check(t, err)
	if len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

// A client that hangs up before it has used its lease has died.
func TestHangingUp(t *testing.T) {
	dir := t.TempDir()
	s, _ := running(t, dir)
	manager := client(t, dir)
	_, err := manager.Register(t.Context(), mine("n", 0, 1))
	check(t, err)
	dying, living := client(t, dir), client(t, dir)
	_, err = dying.Grant(t.Context(), api.GrantRequest{Executors: 1, UID: os.Getuid()})
	check(t, err)
	grant, err := living.Grant(t.Context(), api.GrantRequest{Executors: 1, UID: os.Getuid()})
	check(t, err)
	_, err = manager.Heartbeat(t.Context(), "n", api.Heartbeat{Instance: "i", Beat: 1, State: api.State{Held: []api.Held{{
		Lease: grant.Lease.ID, UID: os.Getuid(), Executors: grant.Tickets[0].Executors,
	}}}})
	check(t, err)
	dying.Close()
	living.Close() // a manager holds its lease
	for until := time.Now().Add(10 * time.Second); free(s.book) != 1; time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("%d cores are free", free(s.book))
		}
	}
	if leases := s.book.leases(); len(leases) != 1 || leases[0].ID != grant.Lease.ID {
		t.Errorf("left: %+v", leases)
	}
}
