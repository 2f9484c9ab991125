package fabric_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sublet-hpc/sublet/internal/control"
	"github.com/sublet-hpc/sublet/internal/fabric"
)

// An executor gives its address and memory to nobody but the client it was told to expect, and
// goes on waiting for that one.
func TestStrangersAreRefused(t *testing.T) {
	p := startExecutor(t, peerOptions{slots: 8, hot: -1})
	name, nonce := p.listen(peerOptions{slots: 8})
	wrong := bytes.Clone(nonce)
	wrong[15] ^= 1
	for range 5 {
		client, err := p.connect(name, wrong, 8)
		if err == nil {
			client.Close()
			t.Fatal("a client with a wrong nonce was accepted")
		}
	}
	if client, err := p.connect(name, nonce, 4); err == nil {
		client.Close()
		t.Fatal("a client with another number of slots was accepted")
	}
	// The name ends in a sockaddr_in: the port stands after the two bytes of the family.
	address := fmt.Sprintf("127.0.0.1:%d", int(name[6])<<8|int(name[7]))
	var strangers []net.Conn
	for _, text := range []string{"", "GET / HTTP/1.1\r\n\r\n", strings.Repeat("\xff", 4096), strings.Repeat("\x00", 4096)} {
		stranger, err := net.Dial("tcp", address)
		check(t, err)
		t.Cleanup(func() { stranger.Close() })
		_, err = stranger.Write([]byte(text))
		check(t, err)
		strangers = append(strangers, stranger)
	}
	strangers[3].Close()

	client, err := p.connect(name, nonce, 8)
	check(t, err)
	p.client, p.close = client, client.Close
	if path := client.Path(); path != (fabric.Path{Transport: "ofi-write", Provider: "tcp"}) {
		t.Errorf("the path is %+v", path)
	}
	buffer := p.region(fabric.Buffers, 16)
	p.invoke("echo", buffer.payload(0, 8), buffer.payload(8, 8))
	if second, err := fabric.ConnectOFI(fabric.OFIOptions{Provider: "tcp", Name: name, Nonce: nonce, Slots: 8, Timeout: patience}); err == nil {
		second.Close()
		t.Error("a second client was accepted")
	}
	p.invoke("echo", buffer.payload(0, 8), buffer.payload(8, 8))
}

// The reason of a refusal reaches who is refused, over every kind of connection.
func TestRefusalSaysWhy(t *testing.T) {
	connected(t, func(t *testing.T, transport transport) {
		o := peerOptions{slots: 8, hot: -1, path: transport.path, provider: transport.provider}
		p := startExecutor(t, o)
		name, nonce := p.listen(o)
		options := fabric.OFIOptions{Transport: o.path, Provider: o.provider, Name: name, Nonce: bytes.Clone(nonce), Slots: 8, Timeout: patience}
		options.Nonce[0] ^= 1
		client, err := fabric.ConnectOFI(options)
		if err == nil {
			client.Close()
			t.Fatal("a client with a wrong nonce was accepted")
		}
		if !strings.Contains(err.Error(), "another nonce") {
			t.Errorf("it does not say why: %v", err)
		}
		options.Nonce = nonce
		client, err = fabric.ConnectOFI(options)
		check(t, err)
		p.client, p.close = client, client.Close
		buffer := p.region(fabric.Buffers, 16)
		p.invoke("echo", buffer.payload(0, 8), buffer.payload(8, 8))
	})
}

func TestWhatCannotBeHad(t *testing.T) {
	for _, test := range []struct {
		open control.Open
		want []string
	}{
		{control.Open{Provider: "quux", Address: "127.0.0.1"}, []string{"fi_getinfo", "quux", "there are", "tcp"}},
		{control.Open{Provider: "tcp", Address: "192.0.2.200"}, []string{"fi_passive_ep", "tcp", "192.0.2.200"}},
		{control.Open{Provider: "udp"}, []string{"udp", "tcp"}},
		{control.Open{Provider: "tcp", Slots: 3}, []string{"power of two"}},
		{control.Open{Provider: "tcp", Nonce: []byte("short")}, []string{"nonce"}},
	} {
		p := startExecutor(t, peerOptions{})
		test.open.Wire, test.open.Transport = fabric.WireVersion, fabric.OFIWrite
		if test.open.Slots == 0 {
			test.open.Slots = 8
		}
		if test.open.Nonce == nil {
			test.open.Nonce = make([]byte, fabric.NonceSize)
		}
		err := p.refused(control.TypeOpen, test.open)
		if err == nil || err.Code != control.CodeTransport {
			t.Fatalf("%+v: %v", test.open, err)
		}
		for _, want := range test.want {
			if !strings.Contains(err.Text, want) {
				t.Errorf("%q does not say %q", err.Text, want)
			}
		}
	}
	_, err := fabric.ConnectOFI(fabric.OFIOptions{Provider: "quux", Name: make([]byte, 20), Nonce: make([]byte, fabric.NonceSize), Slots: 8})
	if err == nil || !strings.Contains(err.Error(), "there are") {
		t.Errorf("connecting with a provider that does not exist: %v", err)
	}
}

// The user's choice of a provider for MPI is not ours, but it hides what we want: say so.
func TestProviderIsHidden(t *testing.T) {
	t.Setenv("FI_PROVIDER", "udp")
	p := startExecutor(t, peerOptions{})
	failed := p.refused(control.TypeOpen, control.Open{Wire: fabric.WireVersion, Transport: fabric.OFIWrite, Slots: 8, Provider: "tcp", Nonce: make([]byte, fabric.NonceSize)})
	if failed == nil || !strings.Contains(failed.Text, "no provider here has connected endpoints (FI_PROVIDER=udp hides the others)") {
		t.Errorf("%v", failed)
	}
}

// refused sends a request that can not be met.
func (p *peer) refused(kind string, body any) *control.Failed {
	p.t.Helper()
	p.calls++
	check(p.t, p.conn.Send(kind, p.calls, 0, body))
	frame, err := p.conn.Receive()
	check(p.t, err)
	var failed *control.Failed
	errors.As(frame.Decode(nil), &failed)
	return failed
}

// Who connects to an executor that does not answer waits no longer than until it is known to be gone.
func TestConnectingEndsWithTheExecutor(t *testing.T) {
	for _, provider := range []string{"tcp", "shm"} {
		t.Run(provider, func(t *testing.T) {
			p := startExecutor(t, peerOptions{slots: 8, hot: -1})
			name, nonce := p.listen(peerOptions{slots: 8, provider: provider})
			check(t, p.command.Process.Signal(syscall.SIGSTOP))
			check(t, unix.Waitid(unix.P_PID, p.command.Process.Pid, nil, unix.WSTOPPED|unix.WNOWAIT, nil)) // all its threads are
			defer func() { check(t, p.command.Process.Signal(syscall.SIGCONT)) }()
			alive, died := context.WithTimeout(context.Background(), 100*time.Millisecond)
			defer died()
			began := time.Now()
			client, err := fabric.ConnectOFI(fabric.OFIOptions{
				Provider: provider, Name: name, Nonce: nonce, Slots: 8, Bells: p.bells, Timeout: patience, Alive: alive,
			})
			if err == nil {
				client.Close()
				t.Fatal("an executor that is stopped has answered")
			}
			if took := time.Since(began); took > patience/2 || !strings.Contains(err.Error(), "gone") {
				t.Errorf("after %v: %v", took, err)
			}
		})
	}
}
