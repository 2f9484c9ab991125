package server

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/sublet-hpc/sublet/resources/api"
)

// rights are whose token each operation takes beside an admin's. They stand here once more: a route whose role
// is changed by mistake is found.
var rights = map[string]api.Role{
	"status": api.RoleClient, "listNodes": api.RoleClient, "showNode": api.RoleClient,
	"drainNode": api.RoleAdmin, "resumeNode": api.RoleAdmin, "removeNode": api.RoleAdmin,
	"register": api.RoleManager, "heartbeat": api.RoleManager, "deregister": api.RoleManager,
	"listLeases": api.RoleClient, "grant": api.RoleClient, "grantAll": api.RoleClient, "showLease": api.RoleClient, "explain": api.RoleClient,
	"renew": api.RoleClient, "release": api.RoleClient, "endLease": api.RoleAdmin,
	"bill":     api.RoleClient,
	"describe": "",
}

// Each operation is for those whose role it needs, over the network as in the table.
func TestRoles(t *testing.T) {
	s, _ := running(t, t.TempDir())
	web := pinned(s.keys.identity.Pin)
	for _, route := range s.routes() {
		needed, known := rights[route.operation]
		if !known || route.role != needed || route.open != (needed == "") {
			t.Errorf("%s is for %q, and should be for %q", route.operation, route.role, needed)
			continue
		}
		for _, role := range api.Roles {
			request, err := http.NewRequestWithContext(t.Context(), route.method, s.URL()+strings.NewReplacer("{", "", "}", "").Replace(route.path), nil)
			check(t, err)
			request.Header.Set("Authorization", "Bearer "+s.keys.tokens.Of(role))
			response, err := web.Do(request)
			check(t, err)
			text, err := io.ReadAll(response.Body)
			check(t, err)
			response.Body.Close()
			may := route.open || role == needed || role == api.RoleAdmin
			if forbidden := response.StatusCode == http.StatusForbidden; forbidden == may || response.StatusCode == http.StatusUnauthorized {
				t.Errorf("%s as %s: %d %s", route.operation, role, response.StatusCode, text)
			}
			var told api.Error
			if !may && (json.Unmarshal(text, &told) != nil || told.Code != api.ErrForbidden.Code || !strings.Contains(told.Text, takers(needed))) {
				t.Errorf("%s as %s is told %s", route.operation, role, text)
			}
		}
	}
}

// Who has one role's token alone has that role's rights, and is told so of others.
func TestAccessOfOneRole(t *testing.T) {
	s, _ := running(t, t.TempDir())
	handed := func(role api.Role) *api.Client {
		dir, access := t.TempDir(), s.directory.access
		access.Tokens = access.Tokens.Only(role)
		check(t, api.WriteAccess(dir, access))
		return client(t, dir)
	}
	manager, program, admin := handed(api.RoleManager), handed(api.RoleClient), handed(api.RoleAdmin)
	_, err := manager.Register(t.Context(), mine("n", 0))
	check(t, err)
	_, err = program.Nodes(t.Context(), "")
	check(t, err)
	refused := func(err error) {
		t.Helper()
		if told := err; told == nil || !strings.Contains(told.Error(), "the token has the role") {
			t.Errorf("not refused: %v", err)
		}
	}
	_, err = manager.Nodes(t.Context(), "")
	refused(err)
	_, err = program.Register(t.Context(), mine("m", 0))
	refused(err)
	refused(program.Drain(t.Context(), "n", ""))
	check(t, admin.Drain(t.Context(), "n", ""))
	check(t, admin.Deregister(t.Context(), "n", "i"))
}

// Whoever tries tokens is soon told nothing more, and fills no log; who has one is served all the same.
func TestStrangersAreSlowedDown(t *testing.T) {
	dir, log := t.TempDir(), &strings.Builder{}
	s, err := Open(Options{Directory: dir})
	check(t, err)
	s.log = slog.New(slog.NewTextHandler(log, nil)) // nobody else has it before it runs
	handler := s.handler()
	served := map[int]int{}
	for i := range 10 * failuresBurst {
		recorder := &statusWriter{ResponseWriter: discard{}, status: http.StatusOK}
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/status", nil)
		check(t, err)
		request.RemoteAddr = fmt.Sprintf("10.0.0.1:%d", i+1)
		request.Header.Set("Authorization", fmt.Sprintf("Bearer %064d", i))
		handler.ServeHTTP(recorder, request)
		served[recorder.status]++
	}
	if served[http.StatusUnauthorized] < failuresBurst || served[http.StatusTooManyRequests] == 0 || len(served) != 2 {
		t.Errorf("they were told %v", served)
	}
	if lines := strings.Count(log.String(), "\n"); lines != served[http.StatusUnauthorized] {
		t.Errorf("%d lines were logged", lines)
	}
	if strings.Contains(log.String(), fmt.Sprintf("%064d", 0)) {
		t.Error("the log has what was tried")
	}
	run(t, s)
	_, err = client(t, dir).Status(t.Context())
	check(t, err)
}

// discard takes an answer that nobody reads.
type discard struct{}

func (discard) Header() http.Header            { return http.Header{} }
func (discard) Write(text []byte) (int, error) { return len(text), nil }
func (discard) WriteHeader(int)                {}
