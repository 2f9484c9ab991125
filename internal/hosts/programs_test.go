package hosts_test

import (
	"bufio"
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sublet-hpc/sublet/internal/hosts"
	"github.com/sublet-hpc/sublet/offload"
	"github.com/sublet-hpc/sublet/resources/api"
)

// patience is how long a test waits for what must come.
const patience = 30 * time.Second

func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually waits for what nothing tells of.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for until := time.Now().Add(patience); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("waited for %v in vain: %s", patience, what)
		}
	}
}

// program is a process that a test runs; what it logged is shown if the test fails.
type program struct {
	*exec.Cmd
	log    bytes.Buffer
	mu     sync.Mutex
	exited chan struct{}
}

func (p *program) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.Write(text)
}

func (p *program) logged() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

func start(t testing.TB, command *exec.Cmd, dir string) *program {
	t.Helper()
	p := &program{Cmd: command, exited: make(chan struct{})}
	if p.Env == nil {
		p.Env = os.Environ()
	}
	p.Env = append(p.Env, "SUBLET_DIR="+dir, "SUBLET_BIN="+filepath.Dir(sublet), "SUBLET_LOG=debug")
	p.Stdout, p.Stderr = p, p
	check(t, p.Start())
	go func() {
		_ = p.Wait() // the tests look at ProcessState
		close(p.exited)
	}()
	t.Cleanup(func() {
		p.end(t, syscall.SIGKILL)
		if t.Failed() {
			t.Logf("%s:\n%s", strings.Join(p.Args, " "), p.logged())
		}
	})
	return p
}

func (p *program) signal(t testing.TB, signal syscall.Signal) {
	t.Helper()
	check(t, p.Process.Signal(signal))
}

// end sends a signal to a process that has not ended, and waits for its end.
func (p *program) end(t testing.TB, signal syscall.Signal) {
	t.Helper()
	_ = p.Process.Signal(signal)
	select {
	case <-p.exited:
	case <-time.After(patience):
		t.Errorf("%s does not end", p.Args)
	}
}

// cluster is a resource manager on the test's host.
type cluster struct {
	dir     string
	manager *program
}

// newCluster starts one; the test's own sessions use it.
func newCluster(t testing.TB) *cluster {
	t.Helper()
	c := &cluster{dir: t.TempDir()}
	t.Setenv("SUBLET_DIR", c.dir)
	t.Setenv("SUBLET_BIN", filepath.Dir(sublet))
	c.start(t)
	return c
}

func (c *cluster) start(t testing.TB) {
	t.Helper()
	command := exec.Command(sublet, "resource-manager", "--listen", hosts.Address+":0")
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	before, _ := api.ReadAccess(c.dir)
	c.manager = start(t, command, c.dir)
	eventually(t, "access.json", func() bool {
		access, err := api.ReadAccess(c.dir)
		return err == nil && access != before
	})
}

// lend starts an executor manager on a host.
func (c *cluster) lend(t testing.TB, h *hosts.Host, flags ...string) *program {
	t.Helper()
	p := start(t, h.Command(sublet, append([]string{"executor-manager"}, flags...)...), c.dir)
	eventually(t, "its registration", func() bool { return strings.Contains(p.logged(), "msg=registered") })
	return p
}

func (c *cluster) client(t testing.TB) *api.Client {
	t.Helper()
	client, err := api.Open(c.dir)
	check(t, err)
	t.Cleanup(client.Close)
	return client
}

// free is what the resource manager can lend.
func (c *cluster) free(t testing.TB) (free, nodes int) {
	t.Helper()
	list, err := c.client(t).Nodes(within(t), "")
	check(t, err)
	for _, node := range list {
		free += int(node.Free[api.Cores])
	}
	return free, len(list)
}

func session(t testing.TB) *offload.Session {
	t.Helper()
	s, err := offload.Connect(within(t))
	check(t, err)
	t.Cleanup(func() { check(t, s.Close()) })
	return s
}

func lease(t testing.TB, s *offload.Session, executors int) *offload.Lease {
	t.Helper()
	l, err := s.Lease(within(t), offload.Want{Executors: executors, Library: library})
	check(t, err)
	return l
}

// echo invokes a function on an executor and looks at what comes back.
func echo(t testing.TB, s *offload.Session, e *offload.Executor, size int) {
	t.Helper()
	in, out := offload.Alloc[byte](s, size), offload.Alloc[byte](s, size)
	for i := range in.Slice() {
		in.Slice()[i] = byte(i * 7)
	}
	n, err := e.Invoke(within(t), "echo", in, out).Wait(within(t))
	if err != nil || n != size || !bytes.Equal(in.Slice(), out.Slice()) {
		t.Fatalf("%s: %d bytes, %v", e, n, err)
	}
	check(t, in.Free())
	check(t, out.Free())
}

// lines of a program's output.
func lines(text string) []string {
	var all []string
	for scanner := bufio.NewScanner(strings.NewReader(text)); scanner.Scan(); {
		all = append(all, scanner.Text())
	}
	return all
}
