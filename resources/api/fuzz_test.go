package api_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/sublet-hpc/sublet/resources/api"
)

// Whatever answers at a resource manager's address: a client has an error with a code, or what it asked for.
func FuzzReply(f *testing.F) {
	dir := f.TempDir()
	var status int
	var body []byte
	identity, err := api.NewIdentity()
	check(f, err)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = w.Write(body)
	}))
	server.TLS = identity.Config()
	server.StartTLS()
	f.Cleanup(server.Close)
	check(f, api.WriteAccess(dir, api.AccessFile{Version: api.AccessVersion, URL: server.URL, Pin: identity.Pin, Tokens: api.Tokens{Client: "t"}}))
	client, err := api.Open(dir)
	check(f, err)
	f.Cleanup(client.Close)
	f.Add(200, []byte(`{"lease":{"id":"l","executors":[{"node":"n","core":1}]},"tickets":{"n":"t"}}`))
	f.Add(409, []byte(`{"code":"no-capacity","text":"nothing is free"}`))
	f.Add(500, []byte(`<html>`))
	f.Add(302, []byte(``))
	f.Add(200, []byte(`{"now":"yesterday"}`))
	f.Fuzz(func(t *testing.T, code int, text []byte) {
		if code < 200 || code > 599 {
			return // no final status
		}
		status, body = code, text
		for _, ask := range []func() error{
			func() error { _, err := client.Grant(t.Context(), api.GrantRequest{}); return err },
			func() error { _, err := client.Nodes(t.Context(), ""); return err },
			func() error { _, err := client.Status(t.Context()); return err },
			func() error { _, err := client.Explain(t.Context(), "l"); return err },
			func() error { _, err := client.Heartbeat(t.Context(), "n", api.Heartbeat{}); return err },
		} {
			err := ask()
			var refused *api.Error
			if err != nil && (!errors.As(err, &refused) || refused.Code == "") {
				t.Errorf("%d %q: %v", code, text, err)
			}
			if err == nil && code >= 300 {
				t.Errorf("%d %q is taken for an answer", code, text)
			}
		}
	})
}

// Whatever stands in the file of the token: it is a token, which proves itself, or it is refused.
func FuzzReadToken(f *testing.F) {
	path := filepath.Join(f.TempDir(), "token")
	_, err := api.MakeToken(path)
	check(f, err)
	good, err := os.ReadFile(path)
	check(f, err)
	f.Add(good)
	f.Add([]byte("42"))
	f.Add(good[:len(good)/2])
	f.Fuzz(func(t *testing.T, text []byte) {
		check(t, os.WriteFile(path, text, 0o600))
		token, err := api.ReadToken(path)
		if err != nil {
			return
		}
		if nonce := []byte("nonce"); !token.Proves(token.Proof(api.ClientProof, nonce, nonce, nonce), api.ClientProof, nonce, nonce, nonce) {
			t.Errorf("%q proves nothing", text)
		}
	})
}
