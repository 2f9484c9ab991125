package attempts_test

import (
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/sublet-hpc/sublet/internal/attempts"
)

func from(address string) net.Addr { return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(address)) }

func TestLimit(t *testing.T) {
	l, at := attempts.New(3, 2), time.Unix(1000, 0)
	may := func(address string, want bool) {
		t.Helper()
		if got := l.Failed(from(address), at); got != want {
			t.Errorf("%s at %v: %v", address, at, got)
		}
	}
	for port := range 3 { // a port is no other host
		may(fmt.Sprintf("10.0.0.1:%d", port+1), true)
	}
	may("10.0.0.1:9", false)
	may("[::ffff:10.0.0.1]:9", false)
	may("10.0.0.2:9", true)
	at = at.Add(500 * time.Millisecond)
	may("10.0.0.1:9", true)
	may("10.0.0.1:9", false)
	for host := range 3 { // of one network's
		may(fmt.Sprintf("[2001:db8::%x]:1", host), true)
	}
	may("[2001:db8::ffff]:1", false)
	may("[2001:db8:0:1::1]:1", true)
}

// Whoever has many addresses fills no memory, and nobody's place.
func TestManyAddresses(t *testing.T) {
	l, at := attempts.New(3, 2), time.Unix(1000, 0)
	allowed := 0
	for i := range 10_000 {
		if l.Failed(from(fmt.Sprintf("10.1.%d.%d:1", i/256, i%256)), at) {
			allowed++
		}
	}
	if allowed != 4096+3 {
		t.Errorf("%d were allowed at once", allowed)
	}
	at = at.Add(time.Hour) // those are forgotten
	for i := range 4096 {
		if !l.Failed(from(fmt.Sprintf("10.2.%d.%d:1", i/256, i%256)), at) {
			t.Fatalf("address %d has no place", i)
		}
	}
}

func TestWithoutAnAddress(t *testing.T) {
	l, at := attempts.New(1, 1), time.Unix(1000, 0)
	ours, theirs := net.Pipe()
	defer ours.Close()
	defer theirs.Close()
	if !l.Failed(ours.RemoteAddr(), at) || l.Failed(theirs.RemoteAddr(), at) {
		t.Error("what has no address is not counted as one")
	}
}
