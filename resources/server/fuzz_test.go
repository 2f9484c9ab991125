package server

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/sublet-hpc/sublet/resources/api"
)

// Whatever somebody who has the token asks for: the resource manager answers with JSON, blames the
// asker, and never itself, and goes on.
func FuzzHandler(f *testing.F) {
	s, err := Open(Options{Directory: f.TempDir()})
	check(f, err)
	f.Cleanup(func() {
		check(f, s.listener.Close())
		check(f, s.directory.withdraw())
		check(f, s.close())
	})
	seed := func(method, path string, body any) {
		text, err := json.Marshal(body)
		check(f, err)
		f.Add(method, path, string(text))
	}
	node := mine("n", 0, 1)
	seed("POST", "/v1/nodes", node)
	seed("POST", "/v1/nodes/n/heartbeat", api.Heartbeat{Instance: "i", Beat: 1, State: api.State{Occupants: map[int]string{1: "rank pid 5"}}})
	seed("POST", "/v1/nodes/n/heartbeat", api.Heartbeat{Instance: "i", Beat: 1, State: api.State{Held: []api.Held{{Lease: "l", Executors: []api.Placed{{}}}}}})
	seed("DELETE", "/v1/nodes/n?instance=i", nil)
	seed("GET", "/v1/nodes", nil)
	seed("POST", "/v1/leases", api.GrantRequest{Executors: 1, UID: os.Getuid(), User: "ann", Owner: api.NewOwner().Public()})
	seed("POST", "/v1/leases", api.GrantRequest{Executors: 1 << 40, UID: -1, Oversubscribe: true})
	seed("POST", "/v1/leases/batch", api.GrantAllRequest{
		Each: api.GrantRequest{UID: os.Getuid(), User: "ann"}, Members: []api.Member{{Executors: 1, Node: "n", Owner: api.NewOwner().Public()}, {Executors: 1, Owner: api.NewOwner().Public()}},
	})
	seed("POST", "/v1/leases/batch", api.GrantAllRequest{Members: []api.Member{{Executors: 1 << 40}}})
	seed("POST", "/v1/leases/l/renew", nil)
	seed("DELETE", "/v1/leases/l", nil)
	seed("GET", "/v1/leases", nil)
	seed("GET", "/v1/status", nil)
	seed("GET", "/v1/nodes/n", nil)
	seed("POST", "/v1/nodes/n/drain", api.DrainRequest{Reason: "new kernel"})
	seed("POST", "/v1/nodes/n/resume", nil)
	seed("POST", "/v1/nodes/n/remove", api.RemoveRequest{Force: true})
	seed("GET", "/v1/leases/l", nil)
	seed("GET", "/v1/leases/l/explain", nil)
	seed("GET", "/v1/openapi.json", nil)
	f.Add("POST", "/v1/nodes", `{"node":{"cores":[-1,9223372036854775807]}}{}`)
	f.Add("POST", "/v1/leases", strings.Repeat("[", 20_000))
	handler := s.handler()

	f.Fuzz(func(t *testing.T, method, path, body string) {
		ask := func(method, path, body string) *httptest.ResponseRecorder {
			request, err := http.NewRequestWithContext(t.Context(), method, "http://localhost", strings.NewReader(body))
			if err != nil {
				return nil // not a method
			}
			request.URL.Path, request.URL.RawQuery, _ = strings.Cut(path, "?")
			request.Header.Set("Authorization", "Bearer "+s.keys.tokens.Admin)
			reply := httptest.NewRecorder()
			handler.ServeHTTP(reply, request)
			return reply
		}
		var waiting struct{ Wait int64 }
		// It would wait, for an hour. What is not JSON does not.
		if err := json.Unmarshal([]byte(body), &waiting); err == nil && waiting.Wait != 0 {
			return
		}
		text, err := json.Marshal(node)
		check(t, err)
		ask("POST", "/v1/nodes", string(text)) // so that there is something to ask for
		reply := ask(method, path, body)
		if reply == nil {
			return
		}
		if reply.Code >= http.StatusInternalServerError && reply.Code != http.StatusServiceUnavailable {
			t.Errorf("status %d: %s", reply.Code, reply.Body)
		}
		if reply.Code >= http.StatusBadRequest {
			var told api.Error
			if err := json.Unmarshal(reply.Body.Bytes(), &told); err != nil || told.Code == "" {
				t.Errorf("status %d says %q", reply.Code, reply.Body)
			}
		}
		var leases []api.Lease
		list := ask("GET", "/v1/leases", "")
		if err := json.Unmarshal(list.Body.Bytes(), &leases); list.Code != http.StatusOK || err != nil {
			t.Errorf("then it lists %d %q: %v", list.Code, list.Body, err)
		}
		for _, lease := range leases { // the next shall find the cores free
			ask("DELETE", "/v1/leases/"+lease.ID, "")
		}
		ask("POST", "/v1/nodes/n/resume", "") // and the node, as it was
		s.book.mu.Lock()
		clear(s.book.state.Removed)
		s.book.mu.Unlock()
	})
}
