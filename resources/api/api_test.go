package api_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sublet-hpc/sublet/resources/api"
)

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var key = []byte(strings.Repeat("k", api.KeySize))

func ticket() api.Ticket {
	return api.Ticket{
		Lease: "l", Node: "n", UID: 7, User: "ann", Owner: []byte("o"), Granted: time.Unix(1, 0).UTC(), Expires: time.Unix(2, 0).UTC(),
		Executors: []api.Placed{{Index: 3, Executor: api.Executor{Node: "n", Core: 1}}},
	}
}

func TestTicketsAreSigned(t *testing.T) {
	text, err := ticket().Sign(key)
	check(t, err)
	got, err := api.ParseTicket(text, key)
	check(t, err)
	if diff := cmp.Diff(ticket(), got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for i := range text { // no letter of it can be another
		other := byte('A')
		if text[i] == other {
			other = 'B'
		}
		if _, err := api.ParseTicket(text[:i]+string(other)+text[i+1:], key); err == nil {
			t.Fatalf("with another letter at %d it is as good", i)
		}
	}
	if _, err := api.ParseTicket(text, []byte(strings.Repeat("x", api.KeySize))); !errors.Is(err, api.ErrUnauthorized) {
		t.Errorf("with another key: %v", err)
	}
	if _, err := api.ParseTicket(text, nil); !errors.Is(err, api.ErrUnauthorized) {
		t.Errorf("without a key: %v", err)
	}
}

func FuzzParseTicket(f *testing.F) {
	text, err := ticket().Sign(key)
	check(f, err)
	f.Add(text)
	f.Add("a.b")
	f.Add(text + "\n")
	f.Add(base64.RawURLEncoding.EncodeToString([]byte("{}")) + ".")
	f.Fuzz(func(t *testing.T, forged string) {
		if _, err := api.ParseTicket(forged, key); err == nil && forged != text {
			t.Errorf("%q passes", forged)
		}
	})
}

// nobody is a pin that no key has.
const nobody = "sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

// access is a file that leads to nobody.
func access() api.AccessFile {
	return api.AccessFile{
		Version: api.AccessVersion, URL: "https://127.0.0.1:1", Pin: nobody,
		Tokens: api.Tokens{Admin: "a", Manager: "m", Client: "c", Batch: "b"}, Host: "h", PID: 1,
	}
}

// Whatever access.json holds, reading it gives a manager's address and token, or an error.
func FuzzReadAccess(f *testing.F) {
	dir := f.TempDir()
	check(f, api.WriteAccess(dir, access()))
	path := filepath.Join(dir, "access.json")
	good, err := os.ReadFile(path)
	check(f, err)
	f.Add(good)
	f.Add([]byte(`{"version":1,"url":"u","token":1}`))
	f.Add([]byte(`{"version":2,"url":"https://h","pin":"sha256//","tokens":{"admin":1}}`))
	f.Add(bytes.Replace(good, []byte("https"), []byte("http"), 1))
	f.Add([]byte(`{"version":1e400}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		check(t, os.WriteFile(path, text, 0o600))
		access, err := api.ReadAccess(dir)
		if err == nil && (access.Version != api.AccessVersion || !strings.HasPrefix(strings.ToLower(access.URL), "https://") || access.Pin.Check() != nil || len(access.Tokens.Roles()) == 0) {
			t.Errorf("%q is %+v", text, access)
		}
		if err == nil {
			_, _ = api.Open(dir) // an error is as good as a client
		}
	})
}

func TestAccessFile(t *testing.T) {
	dir := t.TempDir()
	if _, err := api.ReadAccess(dir); !errors.Is(err, api.ErrNoResourceManager) {
		t.Errorf("an empty directory: %v", err)
	}
	want := access()
	check(t, api.WriteAccess(dir, want))
	path := filepath.Join(dir, "access.json")
	info, err := os.Stat(path)
	check(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("access.json has mode %v", info.Mode())
	}
	got, err := api.ReadAccess(dir)
	check(t, err)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	check(t, os.Chmod(path, 0o640))
	if _, err := api.ReadAccess(dir); err == nil || errors.Is(err, api.ErrNoResourceManager) || !strings.Contains(err.Error(), "secret") {
		t.Errorf("one that others can read: %v", err)
	}
	for text, problem := range map[string]string{
		`{"version":3}`: "version 3",
		`hello`:         "not a file of Sublet's",
		// That of before is of no use, and who wrote it does not encrypt.
		`{"version":1,"url":"http://h:1","token":"t"}`: "does not encrypt; stop that",

		`{"version":2,"url":"https://h:1","pin":"` + nobody + `"}`:                          "no token",
		`{"version":2,"url":"http://h:1","pin":"` + nobody + `","tokens":{"client":"t"}}`:   "https://HOST:PORT",
		`{"version":2,"pin":"` + nobody + `","tokens":{"client":"t"}}`:                      "https://HOST:PORT",
		`{"version":2,"url":"https://h:1","tokens":{"client":"t"}}`:                         "is no pin",
		`{"version":2,"url":"https://h:1","pin":"` + nobody + `=","tokens":{"client":"t"}}`: "is no pin",
	} {
		check(t, os.Remove(path))
		check(t, os.WriteFile(path, []byte(text), 0o600))
		if _, err := api.ReadAccess(dir); err == nil || !strings.Contains(err.Error(), problem) {
			t.Errorf("%s: %v", text, err)
		}
	}
	entries, err := os.ReadDir(dir)
	check(t, err)
	if len(entries) != 1 {
		t.Errorf("left in the directory: %v", entries)
	}
}

func TestDirectory(t *testing.T) {
	t.Setenv("HOME", "/nobody")
	t.Setenv(api.DirectoryVariable, "")
	if dir, err := api.Directory(); err != nil || dir != "/nobody/.sublet/current" {
		t.Errorf("%s, %v", dir, err)
	}
	t.Setenv(api.DirectoryVariable, "/elsewhere")
	if dir, err := api.Directory(); err != nil || dir != "/elsewhere" {
		t.Errorf("%s, %v", dir, err)
	}
	t.Setenv("HOME", "")
	t.Setenv(api.DirectoryVariable, "")
	if _, err := api.Open(""); !errors.Is(err, api.ErrNoResourceManager) {
		t.Errorf("without a home: %v", err)
	}
}

// serve answers a client's requests by a function, and says where it is in a run directory.
func serve(t testing.TB, dir, token string, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	identity, err := api.NewIdentity()
	check(t, err)
	server := httptest.NewUnstartedServer(handler)
	server.TLS = identity.Config()
	server.StartTLS()
	t.Cleanup(server.Close)
	check(t, api.WriteAccess(dir, api.AccessFile{Version: api.AccessVersion, URL: server.URL, Pin: identity.Pin, Tokens: api.Tokens{Client: token}}))
	return server
}

func TestClientUnderstandsRefusals(t *testing.T) {
	dir := t.TempDir()
	var status int
	var body string
	serve(t, dir, "secret", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer secret" {
			t.Errorf("the token is %q", r.Header.Get("Authorization"))
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	})
	client, err := api.Open(dir)
	check(t, err)
	defer client.Close()
	for _, c := range []struct {
		status int
		body   string
		want   error
	}{
		{http.StatusConflict, `{"code":"no-capacity","text":"nothing is free"}`, api.ErrNoCapacity},
		{http.StatusNotFound, `{"code":"unknown-lease","text":"x"}`, api.ErrUnknownLease},
		{http.StatusUnauthorized, `{"code":"unauthorized","text":"x"}`, api.ErrUnauthorized},
		{http.StatusNotFound, `404 page not found`, api.ErrVersion},
		{http.StatusFound, ``, api.ErrVersion},
		{http.StatusOK, `<html>`, api.ErrVersion},
		{http.StatusOK, `[]`, nil},
	} {
		status, body = c.status, c.body
		if _, err := client.Leases(t.Context()); !errors.Is(err, c.want) {
			t.Errorf("%d %s: %v", c.status, c.body, err)
		}
	}
	if errors.Is(api.Because(api.ErrExists, "x"), api.ErrInvalid) {
		t.Error("all errors are one")
	}
}

// A resource manager that was started again has another address and another token.
func TestClientFollows(t *testing.T) {
	dir := t.TempDir()
	answer := func(token string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "Bearer "+token {
				w.WriteHeader(http.StatusUnauthorized)
				_ = json.NewEncoder(w).Encode(api.Because(api.ErrUnauthorized, "no"))
				return
			}
			_, _ = w.Write([]byte(`[{"name":"` + token + `"}]`))
		}
	}
	first := serve(t, dir, "one", answer("one"))
	client, err := api.Open(dir)
	check(t, err)
	defer client.Close()
	_, err = client.Nodes(t.Context(), "")
	check(t, err)
	first.Close()
	var away *api.Unreachable
	if _, err := client.Nodes(t.Context(), ""); !errors.As(err, &away) || !strings.Contains(err.Error(), "start it again") {
		t.Errorf("without a server: %v", err)
	}
	serve(t, dir, "two", answer("two"))
	nodes, err := client.Nodes(t.Context(), "")
	if err != nil || len(nodes) != 1 || nodes[0].Name != "two" {
		t.Errorf("%+v, %v", nodes, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := client.Nodes(ctx, ""); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
}

// A proxy in the environment is for other networks.
func TestClientUsesNoProxy(t *testing.T) {
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("[]")) }))
	defer proxy.Close()
	t.Setenv("HTTP_PROXY", proxy.URL)
	t.Setenv("http_proxy", proxy.URL)
	t.Setenv("HTTPS_PROXY", proxy.URL)
	t.Setenv("https_proxy", proxy.URL)
	dir := t.TempDir()
	invalid := access()
	invalid.URL = "https://resource-manager.invalid:1"
	check(t, api.WriteAccess(dir, invalid))
	client, err := api.Open(dir)
	check(t, err)
	defer client.Close()
	if _, err := client.Nodes(t.Context(), ""); !errors.As(err, new(*api.Unreachable)) {
		t.Errorf("it went through the proxy: %v", err)
	}
}
