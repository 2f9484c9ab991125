package manager

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sublet-hpc/sublet/internal/control"
	"github.com/sublet-hpc/sublet/resources/api"
)

// granting makes a manager that grants leases itself.
func granting(t testing.TB, cores []core) *Manager {
	t.Helper()
	token, err := api.MakeToken(filepath.Join(t.TempDir(), "token"))
	check(t, err)
	m := newManager(t, cores)
	m.direct = &direct{token: token}
	return m
}

// stranger is a client on another host.
func stranger(t testing.TB, m *Manager) *testClient {
	t.Helper()
	if m.identity == nil {
		var err error
		m.identity, err = api.NewIdentity()
		check(t, err)
	}
	ours, theirs := net.Pipe()
	c := &testClient{t: t, of: m, conn: control.NewRemote(tls.Client(ours, m.identity.Pin.Config())), served: make(chan struct{})}
	go func() {
		defer close(c.served)
		m.ServeRemote(theirs)
	}()
	t.Cleanup(c.close)
	return c
}

// greet says hello, with a nonce.
func (c *testClient) greet(nonce []byte) (w control.Welcome) {
	c.t.Helper()
	c.must(control.TypeHello, control.Manager, control.Hello{Protocol: control.Protocol, Nonce: nonce}, &w)
	return w
}

// What there is to lease is told to who has proved that it knows the token, and to nobody before; neither is
// anything leased.
func TestStrangersLearnNothing(t *testing.T) {
	m := granting(t, testCores(88, 2))
	nonce := bytes.Repeat([]byte{7}, api.NonceSize)
	c := stranger(t, m)
	w := c.greet(nonce)
	binding, err := api.Binding(c.conn.Stream().(*tls.Conn))
	check(t, err)
	if w.Free != 0 || w.Cores != 0 || !m.direct.token.Proves(w.Proof, api.ManagerProof, nonce, w.Challenge, binding) {
		t.Errorf("before its proof it is told %+v", w)
	}
	for kind, body := range map[string]any{
		control.TypeLease: control.LeaseRequest{Executors: 1},
		control.TypeProve: control.Prove{Proof: w.Proof}, // the manager's own is of no use
	} {
		_, err := c.ask(kind, control.Manager, body, nil)
		wantCode(t, err, control.CodeTicket, "copy that file")
	}
	var proved control.Proved
	c.must(control.TypeProve, control.Manager, control.Prove{Proof: m.direct.token.Proof(api.ClientProof, nonce, w.Challenge, binding)}, &proved)
	if proved.Cores != 2 || proved.Free != 2 {
		t.Errorf("after its proof it is told %+v", proved)
	}
	if n := m.strangers.Count(); n != 0 {
		t.Errorf("it counts as a stranger still: %d", n)
	}

	// On the same host the kernel has said whose process it is.
	here := connect(t, m)
	if w := here.hello(); w.Cores < 1 || w.Free < 1 { // one of the two is this rank's
		t.Errorf("a client on this host is told %+v", w)
	}
}

// A manager of a resource manager's does not take proofs, and tells those on other hosts as little.
func TestProofsAreForManagersThatGrant(t *testing.T) {
	m := newManager(t, testCores(89, 2))
	c := stranger(t, m)
	if w := c.greet(nil); w.Cores != 0 || w.Proof != nil {
		t.Errorf("it is told %+v", w)
	}
	_, err := c.ask(control.TypeProve, control.Manager, control.Prove{}, nil)
	wantCode(t, err, control.CodeInvalid, "shows its ticket")
}

// Whatever somebody on another host sends that does not know the token: the manager answers that it failed, or
// not at all, and lends nothing.
func FuzzStranger(f *testing.F) {
	m := granting(f, testCores(90, 2))
	for kind, body := range map[string]any{
		control.TypeLease: control.LeaseRequest{Executors: 1, Library: "/lib.so", Ticket: "a.b", Content: &control.Content{Hash: "x", Size: 1 << 40}},
		control.TypeProve: control.Prove{Proof: make([]byte, 32)},
		control.TypePool:  control.Pool{Wait: time.Hour},
		control.TypePart:  control.ContentPart{Offset: 1, Data: []byte("x")},
		control.TypeKill:  control.Kill{Executor: 1, PID: os.Getpid()},
		control.TypeOpen:  control.Open{}, control.TypeRelease: nil, control.TypeBeat: nil, control.TypeHello: control.Hello{},
	} {
		text, err := json.Marshal(body)
		check(f, err)
		f.Add(kind, uint64(3), control.Manager, text)
		f.Add(kind, uint64(0), 0, text)
	}
	f.Fuzz(func(t *testing.T, kind string, call uint64, executor int, body []byte) {
		if !json.Valid(body) {
			return // no frame: internal/control's own target has those
		}
		c := stranger(t, m)
		c.greet(nil)
		// What follows is answered after it, unless the connection has been ended.
		last := max(call+1, 1)
		go func() {
			if c.conn.Send(kind, call, executor, json.RawMessage(body)) == nil {
				_ = c.conn.Send(control.TypeRelease, last, control.Manager, nil) // it may have been ended
			}
		}()
		for {
			frame, err := c.conn.Receive()
			if err != nil {
				break
			}
			if frame.Type != control.TypeFailed {
				t.Errorf("%s of %s is answered by %s %s", kind, body, frame.Type, frame.Body)
			}
			if frame.Call == last {
				break
			}
		}
		if free := m.capacity.free(); free != 2 {
			t.Errorf("%s of %s: %d cores are free", kind, body, free)
		}
	})
}
