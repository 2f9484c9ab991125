package server

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// Whoever connects and then dawdles is cut off: in the handshake, in the headers and in the body. Beside
// them others are served.
func TestSlowClientsAreCutOff(t *testing.T) {
	dir := t.TempDir()
	s, _ := running(t, dir)
	begun := time.Now()
	dial := func() net.Conn {
		t.Helper()
		stream, err := net.Dial("tcp", s.listener.Addr().String())
		check(t, err)
		t.Cleanup(func() { stream.Close() })
		return stream
	}
	secured := func() net.Conn { return tls.Client(dial(), s.keys.identity.Pin.Config()) }
	head := "POST /v1/leases HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer " + s.keys.tokens.Client + "\r\n"
	ends := make(chan string, 10)
	dawdle := func(what string, stream net.Conn, first string) {
		_, err := io.WriteString(stream, first)
		check(t, err)
		go func() { // a byte now and then keeps nobody here
			for err == nil {
				time.Sleep(300 * time.Millisecond)
				_, err = io.WriteString(stream, "x")
			}
		}()
		go func() {
			check(t, stream.SetReadDeadline(begun.Add(60*time.Second)))
			_, err := io.Copy(io.Discard, stream)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				what += ": is still there"
			}
			ends <- what
		}()
	}
	dawdle("handshake", dial(), "\x16\x03\x01\x02\x00") // the head of a record of 512 bytes
	dawdle("headers", secured(), head+"X-Slow: ")
	dawdle("body", secured(), head+"Content-Length: 100000\r\n\r\n{")
	if _, err := client(t, dir).Status(t.Context()); err != nil {
		t.Errorf("beside them: %v", err)
	}
	for range 3 {
		if what := <-ends; strings.Contains(what, ":") {
			t.Error(what)
		} else {
			t.Logf("%s: cut off after %v", what, time.Since(begun).Round(time.Second))
		}
	}
}

// Too much is refused before it is read.
func TestLargeRequests(t *testing.T) {
	s, _ := running(t, t.TempDir())
	ask := func(head, body string) string {
		t.Helper()
		stream, err := tls.Dial("tcp", s.listener.Addr().String(), s.keys.identity.Pin.Config())
		check(t, err)
		defer stream.Close()
		go func() { _, _ = io.WriteString(stream, head+"\r\n"+body) }() // it need not take all of it
		response, err := http.ReadResponse(bufio.NewReader(stream), nil)
		check(t, err)
		defer response.Body.Close()
		return response.Status
	}
	head := "POST /v1/leases HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer " + s.keys.tokens.Client + "\r\n"
	if status := ask(head+"X-Large: "+strings.Repeat("x", 64<<10)+"\r\n", ""); !strings.HasPrefix(status, "431") {
		t.Errorf("64 KiB of headers: %s", status)
	}
	if status := ask(head+"Content-Length: 1000000000000\r\n", strings.Repeat(" ", maxBody+1)); !strings.HasPrefix(status, "400") {
		t.Errorf("a body of a terabyte: %s", status)
	}
	if status := ask(strings.Replace(head, s.keys.tokens.Client, strings.Repeat("x", 8<<10), 1), ""); !strings.HasPrefix(status, "401") {
		t.Errorf("a token of 8 KiB: %s", status)
	}
}

// Who speaks no TLS is told so, and what it says is not listened to.
func TestPlainHTTPIsRefused(t *testing.T) {
	s, _ := running(t, t.TempDir())
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, strings.Replace(s.URL(), "https", "http", 1)+"/v1/status", nil)
	check(t, err)
	request.Header.Set("Authorization", "Bearer "+s.keys.tokens.Client)
	web := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := web.Do(request)
	check(t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	check(t, err)
	if response.StatusCode != http.StatusBadRequest || !strings.Contains(string(text), "HTTPS") {
		t.Errorf("%s: %s", response.Status, text)
	}
}

// Whoever only opens connections, and holds them, keeps nobody else out: neither before the handshake, nor after it with what
// is open to all.
func TestConnectionsOfStrangersKeepNobodyOut(t *testing.T) {
	dir := t.TempDir()
	const most = 64
	s, _ := runningWith(t, Options{Directory: dir, connections: most})
	kept := client(t, dir) // one that is known keeps its connection
	_, err := kept.Status(t.Context())
	check(t, err)
	for i := range 4 * most {
		stream, err := net.Dial("tcp", s.listener.Addr().String())
		check(t, err)
		t.Cleanup(func() { stream.Close() })
		if i%4 == 0 {
			check(t, stream.SetDeadline(time.Now().Add(30*time.Second)))
			secured := tls.Client(stream, s.keys.identity.Pin.Config())
			// It may be dropped meanwhile, for those that come after it.
			_, _ = io.WriteString(secured, "GET /v1/openapi.json HTTP/1.1\r\nHost: h\r\n\r\n")
		}
	}
	// As long as those hold on, the server waits for none of them longer than it takes to drop them.
	begun := time.Now()
	if _, err := client(t, dir).Status(t.Context()); err != nil {
		t.Errorf("one more, with a token: %v", err)
	}
	if _, err := kept.Status(t.Context()); err != nil {
		t.Errorf("one that was there before: %v", err)
	}
	t.Logf("both were served after %v", time.Since(begun).Round(time.Millisecond))
}

// Where few files may be open, connections leave some for the ledger.
func TestConnectionsLeaveFilesForTheLedger(t *testing.T) {
	for files, want := range map[uint64]int{32: 16, 1024: 256, 1 << 20: maxConnections, math.MaxUint64: maxConnections} {
		if got := connectionsFor(files); got != want {
			t.Errorf("of %d files %d are connections', not %d", files, got, want)
		}
	}
}
