package hosts

import (
	"fmt"
	"net"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Every packet takes as long as it was told to, each way, and bytes arrive as they were sent, also many at once.
func TestDelay(t *testing.T) {
	h := New(t)
	const delay = 20 * time.Millisecond
	t.Log("by", h.Delay(t, delay))
	var listener net.Listener
	var err error
	h.inside(t, func() { listener, err = net.Listen("tcp", net.JoinHostPort(h.Address, "0")) })
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				buffer := make([]byte, 1<<16)
				for {
					n, err := c.Read(buffer)
					if err != nil {
						return
					}
					if _, err := c.Write(buffer[:n]); err != nil {
						return
					}
				}
			}()
		}
	}()

	began := time.Now()
	c, err := net.DialTimeout("tcp", listener.Addr().String(), Patience)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if took := time.Since(began); took < 2*delay {
		t.Errorf("connecting took %v", took)
	}
	if err := c.SetDeadline(time.Now().Add(Patience)); err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{1, 1 << 20} {
		sent, got := make([]byte, size), make([]byte, 0, size)
		for i := range sent {
			sent[i] = byte(i * 7)
		}
		began := time.Now()
		go func() { _, _ = c.Write(sent) }() // an error is one of reading, too
		for buffer := make([]byte, 1<<16); len(got) < size; {
			n, err := c.Read(buffer)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, buffer[:n]...)
		}
		if took := time.Since(began); took < 2*delay {
			t.Errorf("%d bytes came back after %v", size, took)
		}
		if !slices.Equal(sent, got) {
			t.Errorf("%d bytes came back as others", size)
		}
	}
}

// inside calls a function on a thread that is on the host: sockets and devices that it opens are the host's.
func (h *Host) inside(t testing.TB, f func()) {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread() // it must not end: what it has started would end with it
	back, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	defer back.Close()
	there, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", h.pid))
	if err != nil {
		t.Fatal(err)
	}
	defer there.Close()
	if err := unix.Setns(int(there.Fd()), unix.CLONE_NEWNET); err != nil {
		t.Fatalf("going to %s: %v", h.Address, err)
	}
	f()
	if err := unix.Setns(int(back.Fd()), unix.CLONE_NEWNET); err != nil {
		panic(fmt.Sprintf("coming back from %s: %v", h.Address, err)) // everything else would go on there
	}
}
