package fabric_test

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sublet-hpc/sublet/executors/executor"
	"github.com/sublet-hpc/sublet/internal/control"
	"github.com/sublet-hpc/sublet/internal/fabric"
	"github.com/sublet-hpc/sublet/internal/hostile"
	"github.com/sublet-hpc/sublet/internal/statspage"
)

// The other end in these tests is a real executor process: this binary, executed again.
const (
	asExecutor = "FABRIC_TEST_EXECUTOR"
	asHostile  = "FABRIC_TEST_HOSTILE" // the plan of one that is
)

// withLibrary and withExample are the test library and that of the example where they have been built
// before: no compiler is needed.
const (
	withLibrary = "FABRIC_TEST_LIBRARY"
	withExample = "FABRIC_TEST_EXAMPLE"
)

var testLibrary string

func TestMain(m *testing.M) {
	if plan := os.Getenv(asHostile); plan != "" {
		if err := hostile.Run(plan); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(1)
	}
	if os.Getenv(asExecutor) != "" {
		if err := executor.Run(executor.Options{Log: slog.New(slog.NewTextHandler(os.Stderr, nil))}); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	if arguments := os.Getenv(asClient); arguments != "" {
		if err := runClient(arguments); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(1)
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "fabric")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if testLibrary = os.Getenv(withLibrary); testLibrary != "" {
		return m.Run()
	}
	testLibrary = filepath.Join(dir, "libfunctions.so")
	if err := buildLibrary(dir, testLibrary, "testdata/functions.c"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// buildLibrary compiles a function library as a user would, against an installed header.
func buildLibrary(dir, library, source string) error {
	include := filepath.Join(dir, "include", "sublet")
	if err := os.MkdirAll(include, 0o755); err != nil {
		return err
	}
	header, err := os.ReadFile("function.h")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(include, "function.h"), header, 0o644); err != nil {
		return err
	}
	out, err := exec.Command("cc", "-O2", "-Wall", "-Wextra", "-Werror", "-Wno-infinite-recursion", "-fPIC", "-shared",
		"-I", filepath.Join(dir, "include"), "-o", library, source).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
}

// peer is an executor process and the connection to it.
type peer struct {
	t         testing.TB
	command   *exec.Cmd
	exited    chan struct{} // closed when the process has been reaped
	conn      *control.Conn
	page      *statspage.Page
	client    *fabric.Client
	bells     *fabric.Bells // of providers that need them
	functions map[string]uint32
	calls     uint64
	regions   uint32
	close     func()
}

type peerOptions struct {
	slots   int
	hot     time.Duration
	library string // "" is the test library
	hostile *hostile.Plan
	// of libfabric's: ofi-write over tcp unless they say otherwise
	path, provider string
}

// transport is one way to reach an executor; the conformance suite runs over each.
type transport struct {
	name     string
	open     func(p *peer, o peerOptions)
	path     string // fabric.Path.Transport
	provider string
}

func overOFI(path, provider string) transport {
	return transport{
		name: path + " over " + provider, path: path, provider: provider,
		open: func(p *peer, o peerOptions) { openOFI(p, o, path, provider) },
	}
}

var (
	ofi        = overOFI(fabric.OFIWrite, "tcp")
	shm        = overOFI(fabric.OFIWrite, "shm")
	sends      = overOFI(fabric.OFISend, "tcp")
	shmSends   = overOFI(fabric.OFISend, "shm")
	withEvents = append([]transport{ofi, sends}, overVerbs()...) // whose endpoints connect, and so tell of each other's end
	overFabric = append([]transport{shm, shmSends}, withEvents...)
	transports = append([]transport{{name: "ring", open: openRing}}, overFabric...)
)

// onRDMA, if it is set, is where an RDMA device is: in the guest of scripts/rdma-lab. What the tests
// are to find there is built before: see withLibrary and withExample.
const onRDMA = "FABRIC_TEST_VERBS"

// overVerbs are both transports over an RDMA device, if there is said to be one; then it must be there.
func overVerbs() []transport {
	if os.Getenv(onRDMA) == "" {
		return nil
	}
	patience, promptly = 90*time.Second, 20*time.Second
	return []transport{overOFI(fabric.OFIWrite, "verbs"), overOFI(fabric.OFISend, "verbs")}
}

// startPeer starts an executor process and opens the transport to it.
func startPeer(t testing.TB, transport transport, o peerOptions) *peer {
	t.Helper()
	p := startExecutor(t, o)
	transport.open(p, o)
	return p
}

func startExecutor(t testing.TB, o peerOptions) *peer {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	check(t, err)
	ours, theirs := os.NewFile(uintptr(pair[0]), "ours"), os.NewFile(uintptr(pair[1]), "theirs")
	conn, err := control.FromFile(ours)
	check(t, err)
	page, pageFile, err := statspage.New()
	check(t, err)

	self, err := os.Executable()
	check(t, err)
	command := exec.Command(self)
	command.Env = append(os.Environ(), asExecutor+"=1", "GOMAXPROCS=4", "GORACE=halt_on_error=1")
	if o.hostile != nil {
		command.Env = append(command.Env, asHostile+"="+o.hostile.String())
	}
	command.ExtraFiles = []*os.File{theirs, pageFile}
	command.Stderr = os.Stderr
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	check(t, command.Start())
	theirs.Close()
	pageFile.Close()

	p := &peer{t: t, command: command, exited: make(chan struct{}), conn: conn, page: page, close: func() {}}
	go func() {
		_ = command.Wait() // how it ended is in ProcessState
		close(p.exited)
	}()
	t.Cleanup(p.stop)
	var started control.Started
	p.call(control.TypeStart, control.Start{Lease: "test", Library: cmp.Or(o.library, testLibrary), HotTimeout: o.hot}, &started)
	p.functions = map[string]uint32{}
	for i, f := range started.Functions {
		p.functions[f.Name] = uint32(i)
	}
	return p
}

func (p *peer) stop() {
	p.kill()
	p.close()
	p.conn.Close()
	p.page.Close()
}

func (p *peer) kill() {
	_ = p.command.Process.Kill() // it may have ended
	<-p.exited
}

// call sends one request over the control connection and decodes its reply.
func (p *peer) call(kind string, body, reply any, files ...*os.File) {
	p.t.Helper()
	p.calls++
	check(p.t, p.conn.Send(kind, p.calls, 0, body, files...))
	frame, err := p.conn.Receive()
	check(p.t, err)
	if frame.Call != p.calls {
		p.t.Fatalf("the reply to call %d has number %d", p.calls, frame.Call)
	}
	check(p.t, frame.Decode(reply))
}

func openRing(p *peer, o peerOptions) {
	p.t.Helper()
	ring, err := fabric.NewRing(o.slots, o.hot >= 0)
	check(p.t, err)
	p.client, p.close = ring.Client, ring.Close
	p.call(control.TypeOpen, control.Open{Wire: fabric.WireVersion, Transport: fabric.Ring, Slots: o.slots}, &control.Opened{},
		ring.Files.Memory, ring.Files.Doorbell)
	check(p.t, ring.Files.Doorbell.Close())
}

func openOFI(p *peer, o peerOptions, path, provider string) {
	p.t.Helper()
	o.path, o.provider = path, provider
	name, nonce := p.listen(o)
	client, err := fabric.ConnectOFI(fabric.OFIOptions{Transport: path, Provider: provider, Name: name, Nonce: nonce, Slots: o.slots, Bells: p.bells})
	check(p.t, err)
	p.client = client
	bells := p.bells
	p.close = func() {
		client.Close()
		if bells != nil {
			bells.Close()
			bells = nil
		}
	}
}

// listen makes the executor await a client over libfabric.
func (p *peer) listen(o peerOptions) (name, nonce []byte) {
	p.t.Helper()
	nonce = make([]byte, fabric.NonceSize)
	rand.Read(nonce)
	open := control.Open{
		Wire: fabric.WireVersion, Transport: cmp.Or(o.path, fabric.OFIWrite), Slots: o.slots,
		Provider: cmp.Or(o.provider, "tcp"), Address: "127.0.0.1", Nonce: nonce,
	}
	var files []*os.File
	if fabric.NeedsBells(open.Provider) {
		bells, err := fabric.NewBells(o.slots)
		check(p.t, err)
		p.bells, p.close = bells, bells.Close
		shared := bells.Files()
		files = []*os.File{shared.Memory, shared.Doorbell}
	}
	var opened control.Opened
	p.call(control.TypeOpen, open, &opened, files...)
	if len(files) > 0 {
		check(p.t, files[1].Close())
	}
	return opened.Name, nonce
}

// region is memory that both ends know.
type region struct {
	id     uint32
	memory *fabric.Memory
}

func (p *peer) region(purpose fabric.Purpose, size int) region {
	p.t.Helper()
	memory, err := fabric.NewMemory(purpose, size)
	check(p.t, err)
	p.t.Cleanup(func() {
		p.kill() // the executor goes before the memory that it may write
		p.close()
		check(p.t, memory.Close())
	})
	p.regions++
	r := region{id: p.regions, memory: memory}
	p.mapRegion(r, purpose == fabric.Constants)
	return r
}

func (p *peer) mapRegion(r region, readOnly bool) {
	p.t.Helper()
	here, err := p.client.Attach(r.id, r.memory)
	check(p.t, err)
	m := control.Map{Region: r.id, Size: uint64(len(r.memory.Bytes())), ReadOnly: readOnly, Address: here.Address, Key: here.Key}
	var mapped control.Mapped
	if p.client.Path().Transport == fabric.Ring {
		p.call(control.TypeMap, m, &mapped, r.memory.File())
	} else {
		p.call(control.TypeMap, m, &mapped)
	}
	check(p.t, p.client.Attached(r.id, fabric.RemoteMemory{Address: mapped.Address, Key: mapped.Key}))
}

// payload names a part of a region.
func (r region) payload(offset, size int) fabric.Payload {
	if size == 0 {
		return fabric.Payload{Region: r.id, Offset: uint64(offset)}
	}
	return fabric.Payload{Address: ptr(r.memory.Bytes()[offset:]), Size: size, Region: r.id, Offset: uint64(offset)}
}

// patience is how long a test waits for what must come, and promptly how long what must come soon may
// take. Both are longer where processors are emulated.
var patience, promptly = 20 * time.Second, 2 * time.Second

// wait harvests until the invocation id has been answered and returns all that came.
func (p *peer) wait(id uint64) []fabric.Response {
	p.t.Helper()
	var all []fabric.Response
	for deadline := time.Now().Add(patience); p.client.Harvested() < id; {
		responses, err := p.client.Harvest(id, 10*time.Millisecond)
		check(p.t, err)
		all = append(all, responses...)
		if time.Now().After(deadline) {
			p.t.Fatalf("invocation %d was not answered in %v; the last harvested is %d", id, patience, p.client.Harvested())
		}
	}
	return all
}

// invoke runs one invocation to its end.
func (p *peer) invoke(function string, input, output fabric.Payload, constants ...uint32) fabric.Response {
	p.t.Helper()
	index, ok := p.functions[function]
	if !ok {
		p.t.Fatalf("the test library has no function %s", function)
	}
	id, err := p.client.Submit(&fabric.Request{Function: index, Input: input, Output: output, Constants: constants})
	check(p.t, err)
	responses := p.wait(id)
	last := responses[len(responses)-1]
	if last.ID != id {
		p.t.Fatalf("the last response is of invocation %d, not %d", last.ID, id)
	}
	return last
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
