package server

import (
	"bufio"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
)

func TestUserOf(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		listener, err := net.Listen("tcp", address)
		if err != nil && strings.HasPrefix(address, "[") {
			t.Logf("this machine has no IPv6: %v", err)
			continue
		}
		check(t, err)
		t.Cleanup(func() { listener.Close() })
		stream, err := net.Dial("tcp", listener.Addr().String())
		check(t, err)
		t.Cleanup(func() { stream.Close() })
		served, err := listener.Accept()
		check(t, err)
		t.Cleanup(func() { served.Close() })
		peer, ours := netip.MustParseAddrPort(served.RemoteAddr().String()), netip.MustParseAddrPort(served.LocalAddr().String())
		if uid, found, err := userOf(peer, ours); err != nil || !found || uid != os.Getuid() {
			t.Errorf("%s: user %d, %v, %v", address, uid, found, err)
		}
		// A connection that is being closed is nobody's, whatever user the kernel says then.
		check(t, stream.Close())
		_, _ = served.Read(make([]byte, 1))
		if uid, found, err := userOf(peer, ours); err != nil || found {
			t.Errorf("%s, closed: user %d, %v, %v", address, uid, found, err)
		}
	}
}

// The kernel's table, with what is to be passed over: listeners, others' connections, one that is being
// closed (which is root's, it says), an orphan, and our own end.
func TestFindSocket(t *testing.T) {
	const head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
	line := func(local, remote, state, uid, inode string) string {
		return "   0: " + local + " " + remote + " " + state + " 00000000:00000000 00:00000000 00000000 " + uid + " 0 " + inode + " 1 0 100 0 0 10 0\n"
	}
	const peer, ours = "0100007F:D2F4", "0100007F:1388"
	const mappedPeer, mappedOurs = "0000000000000000FFFF00000100007F:D2F4", "0000000000000000FFFF00000100007F:1388"
	from, to := netip.MustParseAddrPort("127.0.0.1:54004"), netip.MustParseAddrPort("127.0.0.1:5000")
	noise := line("00000000:1388", "00000000:0000", "0A", "0", "7") + line(ours, peer, "01", "9", "8") + line("0200007F:D2F4", ours, "01", "9", "8") +
		line("0100007F:D2F5", ours, "01", "9", "8") + line(peer, "0100007F:1389", "01", "9", "8") + "nonsense\n" + line("zz", "yy", "01", "1", "1")
	for _, c := range []struct {
		table string
		uid   int
		found bool
	}{
		{head + noise, 0, false},
		{head + noise + line(peer, ours, "01", "1000", "12345"), 1000, true},
		{head + line(peer, ours, "01", "0", "12345"), 0, true},
		{head + line(mappedPeer, mappedOurs, "01", "1001", "12345"), 1001, true},
		{head + line(peer, ours, "06", "0", "0"), 0, false},     // TIME_WAIT
		{head + line(peer, ours, "04", "0", "12345"), 0, false}, // FIN_WAIT1
		{head + line(peer, ours, "01", "0", "0"), 0, false},
	} {
		uid, found, err := findSocket(bufio.NewScanner(strings.NewReader(c.table)), from, to)
		if err != nil || uid != c.uid || found != c.found {
			t.Errorf("%s: user %d, %v, %v", c.table, uid, found, err)
		}
	}
	if _, _, err := findSocket(bufio.NewScanner(strings.NewReader(line(peer, ours, "01", "root", "1"))), from, to); err == nil {
		t.Error("a user without a number")
	}
	six := netip.MustParseAddrPort("[::1]:54004")
	if got, ok := socketAddress("00000000000000000000000001000000:D2F4"); !ok || got != six {
		t.Errorf("%v, %v", got, ok)
	}
}
