package api_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/sublet-hpc/sublet/resources/api"
)

// meet makes a TLS connection; the errors are those of its ends.
func meet(t *testing.T, server, client *tls.Config) (ours, theirs *tls.Conn, ourErr, theirErr error) {
	t.Helper()
	a, b := net.Pipe()
	ours, theirs = tls.Client(a, client), tls.Server(b, server)
	served := make(chan error, 1)
	go func() {
		err := theirs.HandshakeContext(t.Context())
		if err != nil {
			b.Close()
		}
		served <- err
	}()
	if ourErr = ours.HandshakeContext(t.Context()); ourErr != nil {
		a.Close()
	}
	theirErr = <-served
	t.Cleanup(func() {
		a.Close()
		b.Close()
	})
	return ours, theirs, ourErr, theirErr
}

// A client goes on with the key that is pinned, in TLS 1.3, and with no other.
func TestPin(t *testing.T) {
	one, err := api.NewIdentity()
	check(t, err)
	two, err := api.NewIdentity()
	check(t, err)
	check(t, one.Pin.Check())
	ours, theirs, err, theirErr := meet(t, one.Config(), one.Pin.Config())
	check(t, errors.Join(err, theirErr))
	if version := ours.ConnectionState().Version; version != tls.VersionTLS13 {
		t.Errorf("version %x", version)
	}
	binding, err := api.Binding(ours)
	check(t, err)
	same, err := api.Binding(theirs)
	check(t, err)
	if !bytes.Equal(binding, same) || len(binding) != 32 {
		t.Errorf("the ends have %x and %x", binding, same)
	}
	var wrong *api.WrongKey
	if _, _, err, _ := meet(t, two.Config(), one.Pin.Config()); !errors.As(err, &wrong) || wrong.Pinned != one.Pin || wrong.Has != two.Pin {
		t.Errorf("another server: %v", err)
	}
	if _, _, err, _ := meet(t, one.Config(), api.Pin("").Config()); !errors.As(err, &wrong) {
		t.Errorf("no pin: %v", err)
	}
	old := one.Pin.Config()
	old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS12
	if _, _, err, _ := meet(t, one.Config(), old); err == nil {
		t.Error("TLS 1.2 will do")
	}
	// Somebody in between has two connections, and each another binding.
	ours, _, err, theirErr = meet(t, two.Config(), api.AnyServer())
	check(t, errors.Join(err, theirErr))
	if other, err := api.Binding(ours); err != nil || bytes.Equal(other, binding) {
		t.Errorf("two connections are one: %x, %v", other, err)
	}
}

func TestPinsThatAreNone(t *testing.T) {
	identity, err := api.NewIdentity()
	check(t, err)
	for _, pin := range []api.Pin{"", "sha256//", identity.Pin[1:], identity.Pin + "=", identity.Pin[:len(identity.Pin)-2], "md5//" + identity.Pin[8:]} {
		if pin.Check() == nil {
			t.Errorf("%q is one", pin)
		}
	}
}

// What somebody else answers at the resource manager's address is not listened to, and hears no token.
func TestClientKnowsWhomItAsks(t *testing.T) {
	dir := t.TempDir()
	server := serve(t, dir, "secret", nil)
	stranger, err := api.NewIdentity()
	check(t, err)
	file, err := api.ReadAccess(dir)
	check(t, err)
	file.Pin = stranger.Pin
	check(t, api.WriteAccess(dir, file))
	client, err := api.Open(dir)
	check(t, err)
	defer client.Close()
	_, err = client.Nodes(context.Background(), "")
	var wrong *api.WrongKey
	var away *api.Unreachable
	if !errors.As(err, &wrong) || !errors.As(err, &away) || !strings.Contains(err.Error(), server.URL) {
		t.Errorf("another key: %v", err)
	}
}

// A client shows the token with the fewest rights that will do.
func TestTokensOfRoles(t *testing.T) {
	all := api.Tokens{Admin: "a", Manager: "m", Client: "c", Batch: "b"}
	for _, role := range api.Roles {
		parsed, err := api.ParseRole(string(role))
		check(t, err)
		only := all.Only(parsed)
		if only.Of(role) != all.Of(role) || len(only.Roles()) != 1 || only.Roles()[0] != role {
			t.Errorf("only %s: %+v", role, only)
		}
		if !role.May(role) || !api.RoleAdmin.May(role) || role != api.RoleAdmin && role.May(api.RoleAdmin) {
			t.Errorf("%s may not what it may", role)
		}
	}
	if _, err := api.ParseRole("root"); err == nil || !strings.Contains(err.Error(), "admin, manager, client, batch") {
		t.Errorf("an unknown role: %v", err)
	}
	if none := all.Of("root"); none != "" {
		t.Errorf("an unknown role has the token %s", none)
	}
}

// BenchmarkHandshake is what TLS adds to a connection: the computing of both its ends.
func BenchmarkHandshake(b *testing.B) {
	identity, err := api.NewIdentity()
	check(b, err)
	for b.Loop() {
		one, two := net.Pipe()
		served := make(chan error, 1)
		go func() { served <- tls.Server(two, identity.Config()).HandshakeContext(b.Context()) }()
		check(b, tls.Client(one, identity.Pin.Config()).HandshakeContext(b.Context()))
		check(b, <-served)
		check(b, errors.Join(one.Close(), two.Close()))
	}
}
