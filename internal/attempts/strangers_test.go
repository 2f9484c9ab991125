package attempts

import (
	"net"
	"slices"
	"testing"
)

func at(address string) net.Addr { return &net.TCPAddr{IP: net.ParseIP(address), Port: 1} }

// Whoever opens many connections drives out its own oldest ones, and nobody else's.
func TestStrangersDriveOutTheirOwn(t *testing.T) {
	strangers := NewStrangers(4)
	var dropped []string
	enter := func(name, address string) func() bool {
		return strangers.Enter(at(address), func() { dropped = append(dropped, name) })
	}
	enter("other", "10.0.0.1")
	first := enter("first", "10.0.0.2")
	shown := enter("shown", "10.0.0.2")
	enter("second", "10.0.0.2")
	if !shown() || shown() {
		t.Error("one that is no stranger any more leaves once")
	}
	for _, name := range []string{"third", "fourth", "fifth"} {
		enter(name, "10.0.0.2")
	}
	if want := []string{"first", "second"}; !slices.Equal(dropped, want) {
		t.Errorf("dropped are %q, not %q", dropped, want)
	}
	if first() {
		t.Error("one that was dropped is said to be here")
	}
	if n := strangers.Count(); n != 4 {
		t.Errorf("%d are counted, not 4", n)
	}
}

// Nothing is kept of those who have left.
func TestStrangersAreForgotten(t *testing.T) {
	strangers := NewStrangers(2)
	for range 100 {
		leave := strangers.Enter(at("10.0.0.1"), func() { t.Error("dropped although there was room") })
		leave()
	}
	if len(strangers.peers) != 0 || strangers.Count() != 0 {
		t.Errorf("%d addresses and %d connections are kept", len(strangers.peers), strangers.Count())
	}
}
