package server

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sublet-hpc/sublet/config"
	"github.com/sublet-hpc/sublet/internal/hosts"
	"github.com/sublet-hpc/sublet/resources/api"
)

// surfaced starts a server with rFaaS's interface.
func surfaced(t *testing.T, options Options) (s *Server, stop func()) {
	t.Helper()
	options.Surface = "127.0.0.1:0"
	s, err := Open(options)
	check(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	stop = func() {
		if cancel != nil {
			cancel()
			cancel = nil
			check(t, <-ended)
		}
	}
	t.Cleanup(stop)
	return s, stop
}

// post asks the interface, as curl does.
func post(t *testing.T, s *Server, path, body string, change func(*http.Request)) (status int, text string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+s.rfaas.Addr().String()+path, strings.NewReader(body))
	check(t, err)
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if change != nil {
		change(request)
	}
	web := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	reply, err := web.Do(request)
	check(t, err)
	defer reply.Body.Close()
	said, err := io.ReadAll(reply.Body)
	check(t, err)
	return reply.StatusCode, string(said)
}

func added(address string, port, cores, memory int) string {
	return fmt.Sprintf(`{"ip_address": %q, "port": %d, "cores": %d, "memory": %d}`, address, port, cores, memory)
}

// What makes no sense is refused with a sentence, and nothing is added.
func TestSurfaceRefuses(t *testing.T) {
	s, _ := surfaced(t, Options{Directory: t.TempDir()})
	good := added("10.0.0.1", 10005, 1, 512)
	if status, text := post(t, s, "/add?node=there", good, nil); status != http.StatusOK || !strings.Contains(text, "node there is added") {
		t.Fatalf("%d %s", status, text)
	}
	none := func(*http.Request) {}
	for _, c := range []struct {
		path, body string
		change     func(*http.Request)
		status     int
		want       string
	}{
		{"/add?node=there", added("10.0.0.2", 10005, 1, 0), none, 400, "node there is there already, at 10.0.0.1:10005"},
		{"/add?node=other", good, none, 400, "10.0.0.1:10005 is the address of node there"},
		{"/add?node=n", added("10.0.0.2", 10005, -1, 0), none, 400, "the body:1: cores is -1; it is a whole number, 1 to"},
		{"/add?node=n", added("10.0.0.2", 10005, 0, 0), none, 400, "cores is 0"},
		{"/add?node=n", added("10.0.0.2", 70000, 1, 0), none, 400, "port is 70000"},
		{"/add?node=n", added("10.0.0.2", 10005, 1, -5), none, 400, "memory is -5"},
		{"/add?node=n", added("10.0.0.256", 10005, 1, 0), none, 400, `ip_address is "10.0.0.256"; it is an IP address or the name`},
		{"/add?node=n", added("0.0.0.0", 10005, 1, 0), none, 400, "is no address of one host"},
		{"/add?node=n", added("224.0.0.1", 10005, 1, 0), none, 400, "is an address of many hosts"},
		{"/add?node=n", `{"ip_address": "10.0.0.2"`, none, 400, "the file ends too early"},
		{"/add?node=n", `{"ip_address": "10.0.0.2", "port": 1}`, none, 400, "lacks the key cores"},
		{"/add?node=n", `{"ip_address": "10.0.0.2" "port": 1}`, none, 400, "a comma is missing"},
		{"/add?node=n", good + good, none, 400, "something follows"},
		{"/add?node=n", `{"prot": 1}`, none, 400, `has no key "prot"`},
		{"/add?node=n", "", none, 400, "is empty"},
		{"/add?node=n", `{"ip_address": "` + strings.Repeat("x", maxSurfaceBody) + `"}`, none, 400, "the body has more than 64 KiB"},
		{"/add", good, none, 400, "which node? /add?node=NAME"},
		{"/add?node=", good, none, 400, "which node?"},
		{"/add?node=a&node=b", good, none, 400, "which node?"},
		{"/add?nod=a", good, none, 400, `no parameter "nod"`},
		{"/add?node=%00", good, none, 400, "can not be a node's name"},
		{"/add?node=" + strings.Repeat("x", 300), good, none, 400, "255 bytes at most"},
		{"/add?node=n", good, func(r *http.Request) { r.Method = http.MethodGet }, 400, "is asked by POST, not by GET"},
		{"/remove?node=n", "", none, 404, "there is no node n"},
		{"/remove?node=there", added("10.0.0.9", 10005, 1, 0), none, 400, "node there is at 10.0.0.1:10005; the body says 10.0.0.9:10005"},
		{"/remove?node=there", added("10.0.0.1", 10005, 2, 0), none, 400, "leave it out"},
		{"/v1/nodes", "", none, 404, "there are /add?node=NAME and /remove?node=NAME"},
		{"/add?node=n", good, func(r *http.Request) { r.Header.Set("Authorization", "Bearer x") }, 401, "the token is not this resource manager's"},
		{"/add?node=n", good, func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+s.keys.tokens.Admin) }, 401, "a token of role admin is not for it"},
		{"/add?node=n", good, func(r *http.Request) { r.Header.Set("Origin", "http://127.0.0.1") }, 401, "web page"},
		{"/add?node=n", good, func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "same-origin") }, 401, "web page"},
	} {
		status, text := post(t, s, c.path, c.body, c.change)
		if status != c.status || !strings.Contains(text, c.want) || strings.Contains(text, s.keys.tokens.Batch) {
			t.Errorf("%s %.80s: %d %s; want %d ...%s", c.path, c.body, status, text, c.status, c.want)
		}
	}
	if len(s.roster.said) != 1 {
		t.Errorf("added: %v", s.roster.said)
	}
	if status, text := post(t, s, "/add?node=paged", added("10.0.0.3", 1, 1, 0), func(r *http.Request) {
		r.Header.Set("Origin", "http://127.0.0.1")
		r.Header.Set("Authorization", "Bearer "+s.keys.tokens.Batch)
	}); status != http.StatusOK {
		t.Errorf("with the token: %d %s", status, text)
	}
}

// Another user's processes need the token, also on this host. Only root can be another user; what the
// kernel's table says of others, TestFindSocket has.
func TestSurfaceIsForThisUser(t *testing.T) {
	s, _ := surfaced(t, Options{Directory: t.TempDir()})
	curl := []string{"curl", "-s", "http://" + s.rfaas.Addr().String() + "/add?node=n", "-X", "POST", "-d", added("10.0.0.1", 10005, 1, 512)}
	if os.Getuid() == 0 {
		out, err := exec.Command("setpriv", append([]string{"--reuid", "65534", "--regid", "65534", "--clear-groups"}, curl...)...).CombinedOutput()
		check(t, err)
		if !strings.Contains(string(out), "this connection is user 65534's") {
			t.Errorf("another user is told %s", out)
		}
	}
	out, err := exec.Command(curl[0], curl[1:]...).CombinedOutput()
	check(t, err)
	if !strings.Contains(string(out), "node n is added") {
		t.Errorf("this user is told %s", out)
	}
}

// leasable is how many executors can be leased.
func leasable(t *testing.T, c *api.Client) int {
	t.Helper()
	nodes, err := c.Nodes(t.Context(), "")
	check(t, err)
	free := 0
	for _, node := range nodes {
		free += int(node.Free[api.Cores])
	}
	return free
}

// Whatever comes first, /add, the manager or a restart: as much is leased as was said.
func TestOrderDoesNotMatter(t *testing.T) {
	node := mine("n", 0, 1, 2)
	node.Node.Address, node.Node.Memory = "10.0.0.1:10005", 4<<30
	add := added("10.0.0.1", 10005, 2, 1024)
	const before, between, after = 0, 1, 2
	for _, when := range []int{before, between, after} {
		t.Run(fmt.Sprint(when), func(t *testing.T) {
			dir := t.TempDir()
			s, stop := surfaced(t, Options{Directory: dir})
			say := func(path, body string) {
				t.Helper()
				if status, text := post(t, s, path, body, nil); status != http.StatusOK {
					t.Fatalf("%s: %d %s", path, status, text)
				}
			}
			register := func() {
				t.Helper()
				_, err := client(t, dir).Register(t.Context(), node)
				check(t, err)
			}
			if when == before {
				say("/add?node=n", add)
			}
			stop()
			s, stop = surfaced(t, Options{Directory: dir})
			if when == between {
				say("/add?node=n", add)
			}
			if free := leasable(t, client(t, dir)); free != 0 {
				t.Errorf("%d can be leased of a node that has not proved itself", free)
			}
			register()
			if when == after {
				if free := leasable(t, client(t, dir)); free != 3 {
					t.Errorf("%d can be leased of which nothing was said", free)
				}
				say("/add?node=n", add)
				register() // with another bound of its memory, as its manager is told to
			}
			nodes, err := client(t, dir).Nodes(t.Context(), "")
			check(t, err)
			if leasable(t, client(t, dir)) != 2 || nodes[0].Free[api.Memory] != 1<<30 || !strings.Contains(nodes[0].Occupants[2], "added with 2 of its cores") {
				t.Errorf("added with 2 of 3 cores: %+v", nodes)
			}
			grant, err := client(t, dir).Grant(t.Context(), api.GrantRequest{Executors: 1, UID: os.Getuid()})
			check(t, err)

			// Taken out, nothing new is leased, and what there is goes on.
			say("/remove?node=n", "")
			if free := leasable(t, client(t, dir)); free != 0 {
				t.Errorf("%d can be leased of a node that was taken out", free)
			}
			beat := api.Heartbeat{Instance: "i", Beat: 1, State: api.State{Held: []api.Held{{
				Lease: grant.Lease.ID, UID: os.Getuid(), Granted: grant.Lease.Granted, Executors: []api.Placed{{Executor: grant.Lease.Executors[0]}},
			}}}}
			reply, err := client(t, dir).Heartbeat(t.Context(), "n", beat)
			check(t, err)
			if len(reply.End) > 0 {
				t.Errorf("the lease is ended: %v", reply)
			}
			check(t, client(t, dir).Release(t.Context(), grant.Lease.ID))
			if free := leasable(t, client(t, dir)); free != 0 {
				t.Errorf("%d can be leased of a node that was taken out, when its lease has ended", free)
			}
			stop()
			s, stop = surfaced(t, Options{Directory: dir})
			register()
			if free := leasable(t, client(t, dir)); free != 0 {
				t.Errorf("%d can be leased of a node that was taken out before", free)
			}
			say("/add?node=n", add)
			if free := leasable(t, client(t, dir)); free != 2 {
				t.Errorf("%d can be leased of a node that was added again", free)
			}
			stop()
		})
	}
}

// -i adds the nodes of a file, and -o has those that are registered.
func TestDatabases(t *testing.T) {
	dir := t.TempDir()
	out := filepath.Join(dir, "out.json")
	nodes := config.Executors{Executors: []config.Executor{{Node: "n", Address: "10.0.0.1", Port: 10005, Cores: 1, Memory: 512}, {Address: "10.0.0.2", Port: 10006, Cores: 1}}}
	_, stop := surfaced(t, Options{Directory: filepath.Join(dir, "run"), Nodes: nodes, Output: out})
	written := func() (list []config.Executor) {
		text, err := os.ReadFile(out)
		check(t, err)
		var file struct{ Executors []config.Executor }
		check(t, json.Unmarshal(text, &file))
		return file.Executors
	}
	if list := written(); len(list) != 0 {
		t.Errorf("before anybody has registered: %+v", list)
	}
	c := client(t, filepath.Join(dir, "run"))
	for name, address := range map[string]string{"n": "10.0.0.1:10005", "unnamed": "10.0.0.2:10006", "unsaid": "10.0.0.3:10007"} {
		r := mine(name, 0, 1)
		r.Node.Address, r.Node.Memory = address, 1<<30
		_, err := c.Register(t.Context(), r)
		check(t, err)
	}
	if free := leasable(t, c); free != 1+1+2 {
		t.Errorf("%d can be leased", free)
	}
	want := []config.Executor{{Node: "n", Address: "10.0.0.1", Port: 10005, Cores: 1, Memory: 512}, {Node: "unnamed", Address: "10.0.0.2", Port: 10006, Cores: 1, Memory: 1024}, {Node: "unsaid", Address: "10.0.0.3", Port: 10007, Cores: 2, Memory: 1024}}
	hosts.Eventually(t, "a file of all nodes", func() bool { return fmt.Sprint(written()) == fmt.Sprint(want) })
	// One that drains may not be leased.
	check(t, c.Drain(t.Context(), "unsaid", ""))
	want = want[:2]
	hosts.Eventually(t, "a file without the node that drains", func() bool { return fmt.Sprint(written()) == fmt.Sprint(want) })
	stop()
	if fmt.Sprint(written()) != fmt.Sprint(want) {
		t.Errorf("at the end %+v is written", written())
	}
	// What somebody else has written over is not guessed at.
	check(t, os.WriteFile(filepath.Join(dir, "run", "nodes.json"), []byte(`{"version": 9}`), 0o600))
	if _, err := Open(Options{Directory: filepath.Join(dir, "run")}); err == nil || !strings.Contains(err.Error(), "it has version 9, not 1") {
		t.Errorf("another version: %v", err)
	}
}

// Whatever this user's processes post, the answer is a sentence, and the roster stays readable.
func FuzzSurface(f *testing.F) {
	s, err := Open(Options{Directory: f.TempDir()})
	check(f, err)
	f.Cleanup(func() {
		check(f, s.listener.Close())
		check(f, s.directory.withdraw())
		check(f, s.close())
	})
	f.Add("/add", "node=n", added("10.0.0.1", 10005, 1, 512))
	f.Add("/remove", "node=n", "")
	f.Add("/remove", "node=n", added("10.0.0.1", 10005, 1, 0))
	f.Add("/add", "node=a&node=b", "{")
	handlers := map[string]http.HandlerFunc{"/add": s.sentence(config.ParseAddition, s.roster.add), "/remove": s.sentence(config.ParseRemoval, s.roster.remove)}
	f.Fuzz(func(t *testing.T, path, query, body string) {
		handler := handlers[path]
		if handler == nil {
			return
		}
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://localhost"+path, strings.NewReader(body))
		check(t, err)
		request.URL.RawQuery = query
		reply := httptest.NewRecorder()
		handler(reply, request)
		if status := reply.Code; status != http.StatusOK && status != http.StatusBadRequest && status != http.StatusNotFound || !strings.HasSuffix(reply.Body.String(), "\n") {
			t.Fatalf("%s?%s %s: %d %q", path, query, body, status, reply.Body.String())
		}
		if reply.Code != http.StatusOK {
			return
		}
		again := newRoster(s.book, s.roster.path)
		check(t, again.load())
		if len(again.said) != len(s.roster.said) {
			t.Errorf("%d nodes are kept, %d were said", len(again.said), len(s.roster.said))
		}
	})
}
