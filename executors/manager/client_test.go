package manager

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sublet-hpc/sublet/internal/control"
	"github.com/sublet-hpc/sublet/internal/cpus"
)

const patience = 10 * time.Second

// testCores are n cores of invented numbers that no other test has: claims hold machine-wide.
func testCores(seed, n int) []core {
	set, err := cpus.Allowed()
	if err != nil {
		panic(err)
	}
	list := cpus.List(&set)
	cores := make([]core, n)
	for i := range cores {
		cores[i] = core{ID: 1_000_000 + seed*100 + i, CPUs: []int{list[i%len(list)]}}
	}
	return cores
}

// newManager makes a manager of stand-ins on invented cores.
func newManager(t testing.TB, cores []core) *Manager {
	t.Helper()
	self, err := os.Executable()
	check(t, err)
	m, err := New(Options{Executor: self, cores: cores})
	check(t, err)
	t.Cleanup(m.Close)
	return m
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// testClient is a client's end of a connection.
type testClient struct {
	t      testing.TB
	of     *Manager
	conn   *control.Conn
	call   uint64
	served chan struct{} // closed when the manager has done with it
}

// connect makes a client that has not said hello.
func connect(t testing.TB, m *Manager) *testClient {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	check(t, err)
	c := &testClient{t: t, of: m, served: make(chan struct{})}
	c.conn, err = control.FromFile(os.NewFile(uintptr(pair[0]), "client"))
	check(t, err)
	file := os.NewFile(uintptr(pair[1]), "manager")
	stream, err := net.FileConn(file)
	check(t, err)
	file.Close()
	go func() {
		defer close(c.served)
		m.Serve(stream.(*net.UnixConn))
	}()
	t.Cleanup(c.close)
	return c
}

// welcome makes a client that has been welcomed.
func welcome(t testing.TB, m *Manager) *testClient {
	t.Helper()
	c := connect(t, m)
	c.hello()
	return c
}

func (c *testClient) hello() control.Welcome {
	c.t.Helper()
	var w control.Welcome
	c.must(control.TypeHello, control.Manager, control.Hello{Protocol: control.Protocol, PID: os.Getpid(), Launcher: os.Getppid()}, &w)
	return w
}

// close ends the connection and returns when the manager has done with it.
func (c *testClient) close() {
	c.conn.Close()
	<-c.served
}

func (c *testClient) send(kind string, executor int, body any, files ...*os.File) uint64 {
	c.t.Helper()
	c.call++
	check(c.t, c.conn.Send(kind, c.call, executor, body, files...))
	return c.call
}

func (c *testClient) receive() *control.Frame {
	c.t.Helper()
	check(c.t, c.conn.Stream().SetReadDeadline(time.Now().Add(patience)))
	frame, err := c.conn.Receive()
	check(c.t, err)
	c.t.Cleanup(frame.Close)
	return frame
}

// expect receives a frame of a type.
func (c *testClient) expect(kind string, body any) *control.Frame {
	c.t.Helper()
	frame := c.receive()
	if frame.Type != kind {
		c.t.Fatalf("received %s %s, want %s", frame.Type, frame.Body, kind)
	}
	check(c.t, json.Unmarshal(frame.Body, body))
	return frame
}

// ask sends a request and decodes the reply.
func (c *testClient) ask(kind string, executor int, body, reply any, files ...*os.File) (*control.Frame, error) {
	c.t.Helper()
	call := c.send(kind, executor, body, files...)
	frame := c.receive()
	if frame.Call != call || frame.Executor != executor {
		c.t.Fatalf("received %s %s for call %d of executor %d, want call %d of %d", frame.Type, frame.Body, frame.Call, frame.Executor, call, executor)
	}
	err := frame.Decode(reply)
	return frame, err
}

func (c *testClient) must(kind string, executor int, body, reply any, files ...*os.File) *control.Frame {
	c.t.Helper()
	frame, err := c.ask(kind, executor, body, reply, files...)
	check(c.t, err)
	return frame
}

func request(executors int, library string) control.LeaseRequest {
	return control.LeaseRequest{Executors: executors, Library: library, Environment: []string{role + "=" + roleExecutor}}
}

// lease asks for a lease of stand-ins; the pidfds are in the frame.
func (c *testClient) lease(r control.LeaseRequest) (control.Granted, *control.Frame, error) {
	c.t.Helper()
	var granted control.Granted
	frame, err := c.ask(control.TypeLease, control.Manager, r, &granted, os.Stderr)
	return granted, frame, err
}

func (c *testClient) mustLease(executors int) (control.Granted, *control.Frame) {
	c.t.Helper()
	granted, frame, err := c.lease(request(executors, libraryGood))
	check(c.t, err)
	if len(granted.Executors) != executors || len(frame.Files) != executors {
		c.t.Fatalf("%d executors and %d descriptors, want %d", len(granted.Executors), len(frame.Files), executors)
	}
	return granted, frame
}

func (c *testClient) release() {
	c.t.Helper()
	c.must(control.TypeRelease, control.Manager, nil, nil)
}

// waitGone returns when a pidfd's process has exited.
func waitGone(t testing.TB, file *os.File) {
	t.Helper()
	raw, err := file.SyscallConn()
	check(t, err)
	check(t, raw.Control(func(fd uintptr) {
		poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		for deadline := time.Now().Add(2 * time.Second); ; {
			n, err := unix.Poll(poll, int(time.Until(deadline).Milliseconds()))
			if err == unix.EINTR {
				continue
			}
			if err != nil || n != 1 {
				t.Errorf("the process is still there after 2 s: %v", err)
			}
			return
		}
	}))
}

// process is another process of a test.
type process struct {
	*exec.Cmd
	exited chan struct{}
}

// start starts this binary in a role. What it says on its standard output comes line by line.
func start(t testing.TB, as, socket string) (*process, *bufio.Scanner) {
	t.Helper()
	self, err := os.Executable()
	check(t, err)
	p := &process{Cmd: exec.Command(self), exited: make(chan struct{})}
	p.Env = append(os.Environ(), role+"="+as, helperSocket+"="+socket)
	p.Stderr = os.Stderr
	stdin, err := p.StdinPipe()
	check(t, err)
	reader, writer, err := os.Pipe()
	check(t, err)
	p.Stdout = writer
	check(t, p.Start())
	writer.Close()
	go func() {
		defer close(p.exited)
		_ = p.Wait()
	}()
	t.Cleanup(func() {
		stdin.Close()
		_ = p.Process.Kill()
		<-p.exited
		reader.Close()
	})
	return p, bufio.NewScanner(reader)
}

func (p *process) waitExit(t testing.TB, within time.Duration) {
	t.Helper()
	select {
	case <-p.exited:
	case <-time.After(within):
		t.Fatalf("process %d is still there after %v", p.Process.Pid, within)
	}
}

// beClient leases two executors, prints their process numbers and waits to be ended.
func beClient() int {
	pids, err := leaseFromHelper(os.Getenv(helperSocket))
	if err != nil {
		fmt.Fprintln(os.Stdout, "failed:", err)
		return 1
	}
	fmt.Fprintln(os.Stdout, strings.Trim(fmt.Sprint(pids), "[]"))
	_, _ = os.Stdin.Read(make([]byte, 1))
	return 0
}

func leaseFromHelper(socket string) ([]int, error) {
	conn, err := dialHelper(socket)
	if err != nil {
		return nil, err
	}
	hello := control.Hello{Protocol: control.Protocol, PID: os.Getpid(), Launcher: os.Getppid()}
	if err := conn.Send(control.TypeHello, 1, control.Manager, hello); err != nil {
		return nil, err
	}
	if err := conn.Send(control.TypeLease, 2, control.Manager, func() control.LeaseRequest {
		r := request(2, libraryGood)
		r.Oversubscribe = true
		return r
	}(), os.Stderr); err != nil {
		return nil, err
	}
	var granted control.Granted
	for _, reply := range []any{nil, &granted} {
		frame, err := conn.Receive()
		if err == nil {
			err = frame.Decode(reply)
		}
		if err != nil {
			return nil, err
		}
	}
	var pids []int
	for _, e := range granted.Executors {
		pids = append(pids, e.PID)
	}
	return pids, nil
}

// dialHelper waits until a helper listens.
func dialHelper(socket string) (*control.Conn, error) {
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		conn, err := dialOnce(socket)
		if err == nil || time.Now().After(deadline) {
			return conn, err
		}
	}
}

func dialOnce(socket string) (*control.Conn, error) {
	stream, err := net.Dial("unix", "@"+socket)
	if err != nil {
		return nil, err
	}
	return control.New(stream), nil
}
