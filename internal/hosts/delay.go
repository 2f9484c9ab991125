package hosts

import (
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Delay makes each packet to the host, and from it, take so much longer, as long as the test lasts. It says how: by the
// kernel's netem, or where that is missing by the test's own process, through which packets go then.
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

	here, err := openTun("delay" + h.link)
	if err != nil {
		t.Fatal(err)
	}
	var far *os.File
	h.inside(t, func() { far, err = openTun("delay") })
	if err != nil {
		t.Fatal(err)
	}
	const size = 65000 // bytes of a packet: few of them, as where the kernel leaves it to NICs to cut them
	near := fmt.Sprintf("10.77.%d.1", h.number)
	for _, command := range []string{
		fmt.Sprintf("ip link set delay%s up mtu %d", h.link, size),
		fmt.Sprintf("%sip link set delay up mtu %d", inside, size),
		fmt.Sprintf("ip route add %s/32 dev delay%s src %s", h.Address, h.link, near),
		fmt.Sprintf("%sip route add %s/32 dev delay src %s", inside, near, h.Address),
		fmt.Sprintf("%sip route add %s/32 dev delay src %s", inside, Address, h.Address),
	} {
		if err := run(command); err != nil {
			t.Fatal(err)
		}
	}
	ended := make(chan struct{}, 2)
	for _, way := range [][2]*os.File{{here, far}, {far, here}} {
		go func() {
			carry(way[0], way[1], delay, size)
			ended <- struct{}{}
		}()
	}
	t.Cleanup(func() {
		here.Close()
		far.Close()
		<-ended
		<-ended
	})
	return "the test's own process, since the kernel has no netem"
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

// openTun makes a network device of which this process is the wire. It lasts as long as the file is open.
func openTun(name string) (*os.File, error) {
	const path = "/dev/net/tun"
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("%s: %w; delaying a network takes it, or a kernel with netem", path, err)
	}
	request, err := unix.NewIfreq(name)
	if err == nil {
		request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, request)
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("making the network device %s: %w", name, err)
	}
	return os.NewFile(uintptr(fd), path), nil
}

// carry takes packets from one device to another, each a delay after it came, until one of them is closed.
func carry(from, to *os.File, delay time.Duration, size int) {
	type packet struct {
		data []byte
		due  time.Time
	}
	packets := make(chan packet, 4096) // more are lost, as on any wire
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for p := range packets {
			time.Sleep(time.Until(p.due))
			_, _ = to.Write(p.data) // to a device that is down, or full, it is lost
		}
	}()
	for {
		buffer := make([]byte, size)
		n, err := from.Read(buffer)
		if err != nil {
			break
		}
		select {
		case packets <- packet{buffer[:n], time.Now().Add(delay)}:
		default:
		}
	}
	close(packets)
	<-ended
}
