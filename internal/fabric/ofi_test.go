package fabric_test

import (
	"bytes"
	"crypto/rand"
	"debug/elf"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sublet-hpc/sublet/internal/control"
	"github.com/sublet-hpc/sublet/internal/fabric"
	"github.com/sublet-hpc/sublet/internal/statspage"
)

func (p *peer) connect(name, nonce []byte, slots int) (*fabric.Client, error) {
	return fabric.ConnectOFI(fabric.OFIOptions{Provider: "tcp", Name: name, Nonce: nonce, Slots: slots, Timeout: patience})
}

// libfabric runs a test over each transport and provider of libfabric's.
func libfabric(t *testing.T, test func(t *testing.T, transport transport)) {
	t.Helper()
	for _, transport := range overFabric {
		t.Run(transport.name, func(t *testing.T) { test(t, transport) })
	}
}

// connected runs it over those whose endpoints connect, and so tell of each other's end.
func connected(t *testing.T, test func(t *testing.T, transport transport)) {
	t.Helper()
	for _, transport := range []transport{ofi, sends} {
		t.Run(transport.name, func(t *testing.T) { test(t, transport) })
	}
}

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

// A library that is called libfabric and is none is said to be so.
func TestNotLibfabric(t *testing.T) {
	dir := t.TempDir()
	source := filepath.Join(dir, "none.c")
	check(t, os.WriteFile(source, []byte("int none;"), 0o644))
	out, err := exec.Command("cc", "-shared", "-o", filepath.Join(dir, "libfabric.so.1"), source).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Setenv("LD_LIBRARY_PATH", dir)
	p := startExecutor(t, peerOptions{})
	failed := p.refused(control.TypeOpen, control.Open{Wire: fabric.WireVersion, Transport: fabric.OFIWrite, Slots: 8, Provider: "tcp", Nonce: make([]byte, fabric.NonceSize)})
	if failed == nil || !strings.Contains(failed.Text, "libfabric.so.1 has no fi_getinfo") {
		t.Errorf("%v", failed)
	}
}

// Linking libfabric would cost every program 0.2 s before main, and end where it is absent.
func TestLibfabricIsNotLinked(t *testing.T) {
	self, err := os.Executable()
	check(t, err)
	file, err := elf.Open(self)
	check(t, err)
	defer file.Close()
	libraries, err := file.ImportedLibraries()
	check(t, err)
	for _, library := range libraries {
		if strings.Contains(library, "fabric") {
			t.Errorf("%s is linked", library)
		}
	}
	symbols, err := file.ImportedSymbols()
	check(t, err)
	for _, symbol := range symbols {
		if strings.HasPrefix(symbol.Name, "fi_") {
			t.Errorf("%s is undefined", symbol.Name)
		}
	}
}

// What lies in no region, or in one that the executor does not have, is refused by the executor,
// and the connection goes on.
func TestMemoryInNoRegion(t *testing.T) {
	libfabric(t, func(t *testing.T, transport transport) {
		p := startPeer(t, transport, peerOptions{slots: 8, hot: -1})
		in, out := p.region(fabric.Buffers, 1<<20), p.region(fabric.Buffers, 1<<20)
		stray := func(payload fabric.Payload, region uint32, offset uint64) fabric.Payload {
			payload.Region, payload.Offset = region, offset
			return payload
		}
		large, small := in.payload(0, 100_000), in.payload(0, 60_000)
		for name, test := range map[string]struct {
			in, out fabric.Payload
			want    fabric.Status
		}{
			"large input in none":       {stray(large, 0, 0), out.payload(0, 100_000), fabric.StatusBadReference},
			"large input in unknown":    {stray(large, 99, 0), out.payload(0, 100_000), fabric.StatusBadReference},
			"large input in impossible": {stray(large, 1<<31, 0), out.payload(0, 100_000), fabric.StatusBadReference},
			"large input past the end":  {stray(large, in.id, 1<<20-10), out.payload(0, 100_000), fabric.StatusBadReference},
			"large output in none":      {large, stray(out.payload(0, 100_000), 0, 0), fabric.StatusBadReference},
			"large output wraps":        {large, stray(out.payload(0, 100_000), out.id, ^uint64(0)-10), fabric.StatusBadReference},
			"small input in none":       {stray(small, 0, 0), out.payload(0, 60_000), fabric.StatusOK},
			"small output in none":      {small, stray(out.payload(0, 60_000), 0, 0), fabric.StatusOK},
		} {
			fill(in.memory.Bytes(), 3)
			clear(out.memory.Bytes())
			response := p.invoke("echo", test.in, test.out)
			if response.Status != test.want {
				t.Errorf("%s: status %d, %q", name, response.Status, response.Text)
			}
			if test.want == fabric.StatusOK && !bytes.Equal(in.memory.Bytes()[:60_000], out.memory.Bytes()[:60_000]) {
				t.Errorf("%s: wrong output", name)
			}
		}
	})
}

// Both directions full at once, far above what sockets buffer.
func TestLargePipelines(t *testing.T) {
	libfabric(t, func(t *testing.T, transport transport) {
		p := startPeer(t, transport, peerOptions{slots: 8, hot: 0})
		const size, total = 3<<20 + 1, 40
		in, out := p.region(fabric.Buffers, 8*size), p.region(fabric.Buffers, 8*size)
		fill(in.memory.Bytes(), 5)
		submitted, harvested := 0, 0
		for harvested < total {
			for submitted < total && submitted-harvested < 8 {
				at := submitted % 8 * size
				clear(out.memory.Bytes()[at : at+size])
				_, err := p.client.Submit(&fabric.Request{Function: p.functions["echo"], Input: in.payload(at, size), Output: out.payload(at, size)})
				check(t, err)
				submitted++
			}
			for _, response := range p.wait(uint64(harvested + 1)) {
				at := harvested % 8 * size
				harvested++
				if response.Size != size || !bytes.Equal(in.memory.Bytes()[at:at+size], out.memory.Bytes()[at:at+size]) {
					t.Fatalf("response %d: wrong output", harvested)
				}
			}
		}
	})
}

// A provider that wants all that tcp does not want: receives, local registration, addresses, small
// writes, no gathering, no copying, patience. See testdata/awkward.c.
func TestAwkwardProvider(t *testing.T) {
	if os.Getenv("AWKWARD_REAL") != "" {
		t.Fatal("this test runs itself")
	}
	startPeer(t, ofi, peerOptions{slots: 8, hot: -1}) // loads libfabric
	dir := t.TempDir()
	out, err := exec.Command("cc", "-O2", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared", "-o", filepath.Join(dir, "libfabric.so.1"),
		"-Wl,--version-script=testdata/awkward.map", "testdata/awkward.c", "-ldl").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	self, err := os.Executable()
	check(t, err)
	child := exec.Command(self, "-test.run=^(TestSizes|TestPartsOfRegions|TestOrderAndPipelining|TestFailures|TestConstants|TestSleepAndWake|TestLargePipelines|TestMemoryInNoRegion|TestRegionsComeAndGo)$/over_tcp", "-test.v")
	child.Env = append(os.Environ(), "AWKWARD_REAL="+loadedLibfabric(t), "LD_LIBRARY_PATH="+dir)
	out, err = child.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("--- PASS: TestSizes/ofi-write_over_tcp")) || !bytes.Contains(out, []byte("--- PASS: TestSizes/ofi-send_over_tcp")) || !bytes.Contains(out, []byte("awkward: ")) {
		t.Errorf("%v\n%s", err, out)
	}
}

// loadedLibfabric is the path of the library that this process uses.
func loadedLibfabric(t *testing.T) string {
	t.Helper()
	maps, err := os.ReadFile("/proc/self/maps")
	check(t, err)
	for line := range strings.Lines(string(maps)) {
		if at := strings.IndexByte(line, '/'); at >= 0 && strings.Contains(line[at:], "/libfabric.so.1") {
			return strings.TrimSpace(line[at:])
		}
	}
	t.Fatal("libfabric is not loaded")
	return ""
}

// Regions come and go while the loop spins; a constant may go as soon as it has been pushed.
func TestRegionsComeAndGo(t *testing.T) {
	libfabric(t, func(t *testing.T, transport transport) {
		p := startPeer(t, transport, peerOptions{slots: 8, hot: -1})
		buffer := p.region(fabric.Buffers, 16)
		memory, err := fabric.NewMemory(fabric.Constants, 300_000)
		check(t, err)
		defer memory.Close()
		defer p.client.Close()
		r := region{id: 100, memory: memory}
		for range 200 {
			p.mapRegion(r, true)
			check(t, p.client.Push(r.id))
			check(t, p.client.Detach(r.id))
			p.call(control.TypeUnmap, control.Unmap{Region: r.id}, &control.Unmap{})
		}
		p.invoke("echo", buffer.payload(0, 8), buffer.payload(8, 8))
		if _, err := p.client.Attach(0, memory); err == nil {
			t.Error("region 0 was attached")
		}
		if err := p.client.Push(r.id); err == nil {
			t.Error("a region that was detached was pushed")
		}
		_, err = p.client.Attach(r.id, memory)
		check(t, err)
		if _, err := p.client.Attach(r.id, memory); err == nil {
			t.Error("a region was attached twice")
		}
	})
}

// awaitBroken harvests until the connection is known to be broken.
func (p *peer) awaitBroken(within time.Duration) {
	p.t.Helper()
	start := time.Now()
	for {
		_, err := p.client.Harvest(p.client.Submitted(), 10*time.Millisecond)
		if errors.Is(err, fabric.ErrBroken) {
			return
		}
		check(p.t, err)
		if time.Since(start) > within {
			p.t.Fatalf("after %v the client has not noticed that its executor is dead", within)
		}
	}
}

func TestExecutorIsKilled(t *testing.T) {
	connected(t, func(t *testing.T, transport transport) {
		for _, size := range []int{8, 64 << 20} {
			t.Run(fmt.Sprintf("spinning, %d bytes", size), func(t *testing.T) {
				p := startPeer(t, transport, peerOptions{slots: 8, hot: -1})
				in, out := p.region(fabric.Buffers, max(size, 8)), p.region(fabric.Buffers, size)
				clear(in.memory.Bytes()[:8])
				in.memory.Bytes()[1] = 0x40 // nap for 16 s
				_, err := p.client.Submit(&fabric.Request{Function: p.functions["nap"], Input: in.payload(0, 8)})
				check(t, err)
				_, err = p.client.Submit(&fabric.Request{Function: p.functions["echo"], Input: in.payload(0, size), Output: out.payload(0, size)})
				check(t, err)
				p.waitForState(statspage.Running)
				p.kill()
				p.awaitBroken(2 * time.Second)
			})
		}
		t.Run("asleep", func(t *testing.T) {
			p := startPeer(t, transport, peerOptions{slots: 8, hot: -1})
			in := p.region(fabric.Buffers, 8)
			in.memory.Bytes()[1] = 0x40
			_, err := p.client.Submit(&fabric.Request{Function: p.functions["nap"], Input: in.payload(0, 8)})
			check(t, err)
			p.waitForState(statspage.Running)
			if !p.client.Arm() {
				t.Fatal("there is nothing to harvest, and it may not sleep")
			}
			go p.kill()
			poll := []unix.PollFd{{Fd: int32(p.client.Descriptor()), Events: unix.POLLIN}}
			for {
				n, err := unix.Poll(poll, 2000)
				if err == unix.EINTR {
					continue
				}
				if n != 1 || err != nil {
					t.Fatalf("a sleeping client was not woken: %d, %v", n, err)
				}
				break
			}
			p.client.Disarm()
			p.awaitBroken(2 * time.Second)
		})
	})
}

// asClient makes the test binary a client: it connects, invokes once, says so, and waits for its
// death; SIGTERM it takes as the Go programs do that ask for it.
const asClient = "FABRIC_TEST_CLIENT"

func runClient(arguments string) error {
	terminated := make(chan os.Signal, 1)
	signal.Notify(terminated, syscall.SIGTERM) // before libfabric is loaded
	nameText, nonceText, _ := strings.Cut(arguments, " ")
	name, err := hex.DecodeString(nameText)
	if err != nil {
		return err
	}
	nonce, err := hex.DecodeString(nonceText)
	if err != nil {
		return err
	}
	client, err := fabric.ConnectOFI(fabric.OFIOptions{Provider: "tcp", Name: name, Nonce: nonce, Slots: 8})
	if err != nil {
		return err
	}
	defer client.Close()
	if _, err := client.Submit(&fabric.Request{Function: 10_000}); err != nil {
		return err
	}
	for client.Harvested() < 1 {
		if _, err := client.Harvest(1, time.Millisecond); err != nil {
			return err
		}
	}
	fmt.Fprintln(os.Stdout, "connected")
	<-terminated
	fmt.Fprintln(os.Stdout, "terminated")
	select {}
}

func TestClientIsKilled(t *testing.T) {
	for _, hot := range []time.Duration{-1, 0} {
		t.Run(fmt.Sprintf("hot timeout %v", hot), func(t *testing.T) {
			p := startExecutor(t, peerOptions{hot: hot})
			name, nonce := p.listen(peerOptions{slots: 8})
			self, err := os.Executable()
			check(t, err)
			client := exec.Command(self)
			client.Env = append(os.Environ(), asClient+"="+hex.EncodeToString(name)+" "+hex.EncodeToString(nonce))
			client.Stderr = os.Stderr
			client.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
			stdout, err := client.StdoutPipe()
			check(t, err)
			check(t, client.Start())
			expect := func(want string) {
				t.Helper()
				line := make([]byte, len(want)+1)
				if n, err := stdout.Read(line); string(line[:n]) != want+"\n" {
					t.Fatalf("the client says %q, %v", line[:n], err)
				}
			}
			expect("connected")
			// libfabric's dependencies install handlers that would end it here.
			check(t, client.Process.Signal(syscall.SIGTERM))
			expect("terminated")
			if hot == 0 {
				p.waitForState(statspage.Warm)
			}
			check(t, client.Process.Kill())
			_ = client.Wait() // killed
			select {
			case <-p.exited:
			case <-time.After(2 * time.Second):
				t.Fatal("2 s after its client was killed the executor lives")
			}
		})
	}
}

// Close is a revocation: not a byte of an output that is on its way lands after it.
func TestNothingLandsAfterClose(t *testing.T) {
	connected(t, func(t *testing.T, transport transport) {
		p := startPeer(t, transport, peerOptions{slots: 8, hot: -1})
		const size = 64 << 20
		in, out := p.region(fabric.Buffers, size), p.region(fabric.Buffers, size)
		for i := range in.memory.Bytes() {
			in.memory.Bytes()[i] = 0xa5
		}
		check(t, out.memory.Prefault())
		_, err := p.client.Submit(&fabric.Request{Function: p.functions["echo"], Input: in.payload(0, size), Output: out.payload(0, size)})
		check(t, err)
		for out.memory.Bytes()[0] == 0 {
			_, err := p.client.Harvest(1, 0)
			check(t, err)
		}
		if p.client.Harvested() != 0 || out.memory.Bytes()[size-1] != 0 {
			t.Fatal("all of it came at once; nothing was in flight")
		}
		p.client.Close()
		landed := bytes.Count(out.memory.Bytes(), []byte{0xa5})
		select {
		case <-p.exited: // the executor has sent all that it ever will
		case <-time.After(patience):
			t.Fatal("the executor has not noticed")
		}
		if after := bytes.Count(out.memory.Bytes(), []byte{0xa5}); after != landed {
			t.Errorf("%d bytes had landed when Close returned, %d later", landed, after)
		}
	})
}

// Who waits for an executor that does not poll can be freed by another thread.
func TestAbandon(t *testing.T) {
	libfabric(t, func(t *testing.T, transport transport) {
		p := startPeer(t, transport, peerOptions{slots: 8, hot: -1})
		in, constant := p.region(fabric.Buffers, 8), p.region(fabric.Constants, 64<<20)
		in.memory.Bytes()[1] = 0x40
		_, err := p.client.Submit(&fabric.Request{Function: p.functions["nap"], Input: in.payload(0, 8)})
		check(t, err)
		p.waitForState(statspage.Running)
		pushed := make(chan error, 1)
		go func() { pushed <- p.client.Push(constant.id) }()
		p.client.Abandon()
		select {
		case err := <-pushed:
			if !errors.Is(err, fabric.ErrBroken) {
				t.Errorf("the push ended with %v", err)
			}
		case <-time.After(2 * time.Second):
			t.Fatal("the push goes on")
		}
		if _, err := p.client.Submit(&fabric.Request{}); !errors.Is(err, fabric.ErrBroken) {
			t.Errorf("a request on an abandoned connection: %v", err)
		}
	})
}

// Warm means that nothing spins: neither while it awaits its client nor afterwards.
func TestWarmSleeps(t *testing.T) {
	libfabric(t, func(t *testing.T, transport transport) {
		o := peerOptions{slots: 8, hot: 0, path: transport.path, provider: transport.provider}
		p := startExecutor(t, o)
		name, nonce := p.listen(o)
		p.waitForState(statspage.Warm)
		p.sleeps("before the client came")
		client, err := fabric.ConnectOFI(fabric.OFIOptions{Transport: o.path, Provider: o.provider, Name: name, Nonce: nonce, Slots: 8, Bells: p.bells})
		check(t, err)
		closeBells := p.close
		p.client, p.close = client, func() { client.Close(); closeBells() }
		buffer := p.region(fabric.Buffers, 2<<20)
		p.invoke("echo", buffer.payload(0, 1<<20), buffer.payload(1<<20, 1<<20))
		p.waitForState(statspage.Warm)
		p.sleeps("after an invocation")
	})
}

func (p *peer) sleeps(when string) {
	p.t.Helper()
	used := func() int {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.command.Process.Pid))
		check(p.t, err)
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+2:]))
		var user, system int
		_, err = fmt.Sscan(fields[11]+" "+fields[12], &user, &system)
		check(p.t, err)
		return user + system
	}
	before := used()
	time.Sleep(200 * time.Millisecond) // what it does in this time is measured
	if ticks := used() - before; ticks > 5 {
		p.t.Errorf("%s a sleeping executor used %d ticks in 200 ms", when, ticks)
	}
}

// Connections leave nothing behind in either end's process.
func TestConnectionsComeAndGo(t *testing.T) {
	page, file, err := statspage.New()
	check(t, err)
	defer page.Close()
	e, err := fabric.NewExecutor(file)
	check(t, err)
	defer e.Close()
	functions, err := e.Load(testLibrary)
	check(t, err)
	var echo uint32
	for i, f := range functions {
		if f.Name == "echo" {
			echo = uint32(i)
		}
	}
	memory, err := fabric.NewMemory(fabric.Buffers, 1<<20)
	check(t, err)
	defer memory.Close()

	cycle := func(transport transport) {
		nonce := make([]byte, fabric.NonceSize)
		rand.Read(nonce)
		listen := fabric.OFIListen{Transport: transport.path, Provider: transport.provider, Address: "127.0.0.1", Nonce: nonce, Slots: 2}
		options := fabric.OFIOptions{Transport: transport.path, Provider: transport.provider, Nonce: nonce, Slots: 2}
		endpoint, name, err := e.ListenOFI(listen)
		check(t, err)
		options.Name = name
		served := make(chan error, 1)
		go func() { served <- e.Serve(endpoint, 0) }()
		client, err := fabric.ConnectOFI(options)
		check(t, err)
		here, err := client.Attach(1, memory)
		check(t, err)
		there, err := e.Map(1, 1<<20, false, nil, here)
		check(t, err)
		check(t, client.Attached(1, there))
		part := fabric.Payload{Address: ptr(memory.Bytes()), Size: 70_000, Region: 1}
		id, err := client.Submit(&fabric.Request{Function: echo, Input: part, Output: part})
		check(t, err)
		for client.Harvested() < id {
			_, err := client.Harvest(id, time.Millisecond)
			check(t, err)
		}
		client.Close()
		client.Close() // does nothing
		if err := <-served; !errors.Is(err, fabric.ErrBroken) {
			t.Fatalf("the executor's loop ended with %v", err)
		}
	}
	descriptors := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		check(t, err)
		return len(entries)
	}
	// shm's two ends in one process share what they map, and can not be closed one by one.
	for _, transport := range []transport{ofi, sends} {
		cycle(transport)
		before := descriptors()
		for range 50 {
			cycle(transport)
		}
		if after := descriptors(); after > before {
			t.Errorf("%s: %d descriptors before, %d after", transport.name, before, after)
		}
	}
	for _, purpose := range []fabric.Purpose{fabric.Slots, fabric.Mirrors} {
		if n, size := fabric.Usage(purpose); n != 0 || size != 0 {
			t.Errorf("%d %s of %d bytes are left", n, purpose, size)
		}
	}
}
