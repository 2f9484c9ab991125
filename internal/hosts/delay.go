package hosts

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Delay makes each packet to the host, and from it, take so much longer, as long as the test lasts, and says how: by the
// kernel's netem or, where that is missing, by a wire that is this process. That wire is for IPv4 alone.
func (h *Host) Delay(t testing.TB, delay time.Duration) (how string) {
	t.Helper()
	inside := fmt.Sprintf("nsenter --target %d --net ", h.pid)
	netem := fmt.Sprintf(" root netem limit 100000 delay %dus", delay.Microseconds())
	if err := run("tc qdisc add dev " + h.link + netem); err == nil {
		if err := run(inside + "tc qdisc add dev eth0" + netem); err != nil {
			t.Fatal(err)
		}
		return "netem"
	}

	// here ══ hereN · this process · thereN ══ there
	here, there := fmt.Sprintf("here%d", h.number), fmt.Sprintf("there%d", h.number)
	near := fmt.Sprintf("10.77.%d.1", h.number)
	for _, command := range []string{
		fmt.Sprintf("ip link add delay%d type veth peer name %s", h.number, here),
		fmt.Sprintf("ip link add %s type veth peer name delay netns %d", there, h.pid),
		"ip link set " + here + " up",
		"ip link set " + there + " up",
		fmt.Sprintf("ip link set delay%d up", h.number),
		inside + "ip link set delay up",
		fmt.Sprintf("ip route add %s/32 dev delay%d src %s", h.Address, h.number, near),
		inside + fmt.Sprintf("ip route add %s/32 dev delay src %s", near, h.Address),
		inside + fmt.Sprintf("ip route add %s/32 dev delay src %s", Address, h.Address),
	} {
		if err := run(command); err != nil {
			t.Fatal(err)
		}
	}
	ends := [2]*os.File{openEnd(t, here), openEnd(t, there)}
	ended := make(chan struct{}, len(ends))
	for i := range ends {
		go func() {
			carry(ends[i], ends[1-i], delay)
			ended <- struct{}{}
		}()
	}
	t.Cleanup(func() {
		for _, end := range ends {
			end.Close()
		}
		for range ends {
			<-ended
		}
	})
	return "a wire of the test's, since the kernel has no netem"
}

// openEnd opens a device for all that it gets, each packet behind a header that says what the sender left to it: checksums,
// and to cut it into smaller ones.
func openEnd(t testing.TB, device string) *os.File {
	t.Helper()
	link, err := net.InterfaceByName(device)
	if err != nil {
		t.Fatal(err)
	}
	all := int(binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, unix.ETH_P_ALL))) // in the network's order
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, all)
	if err != nil {
		t.Fatalf("a socket for packets of %s: %v", device, err)
	}
	for _, option := range []int{unix.PACKET_VNET_HDR, unix.PACKET_IGNORE_OUTGOING} {
		if err == nil {
			err = unix.SetsockoptInt(fd, unix.SOL_PACKET, option, 1)
		}
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 16<<20) // with less, more is lost and sent again
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: uint16(all), Ifindex: link.Index})
	}
	if err != nil {
		unix.Close(fd)
		t.Fatalf("reading packets of %s: %v", device, err)
	}
	return os.NewFile(uintptr(fd), device)
}

// carry takes packets from one end of a wire to the other, each a delay after it came, until it is cut.
func carry(from, to *os.File, delay time.Duration) {
	type packet struct {
		data []byte
		due  time.Time
	}
	packets := make(chan packet, 4096) // more are lost
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for p := range packets {
			<-time.After(time.Until(p.due))
			_, _ = to.Write(p.data) // what can not be sent is lost, as on other wires
		}
	}()
	buffer := make([]byte, 1<<17) // more than a packet has
	for {
		n, err := from.Read(buffer)
		if err != nil {
			break
		}
		select {
		case packets <- packet{bytes.Clone(buffer[:n]), time.Now().Add(delay)}:
		default:
		}
	}
	close(packets)
	<-ended
}
