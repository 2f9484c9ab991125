package hosts

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Patience is how long a test waits for what must come.
const Patience = 30 * time.Second

// Program is a process that a test runs; what it logged is shown if the test fails.
type Program struct {
	*exec.Cmd
	log    bytes.Buffer
	mu     sync.Mutex
	exited chan struct{}
}

// Start starts one, with variables added to its environment. It ends with the test.
func Start(t testing.TB, command *exec.Cmd, environment ...string) *Program {
	t.Helper()
	p := &Program{Cmd: command, exited: make(chan struct{})}
	if p.Env == nil {
		p.Env = os.Environ()
	}
	p.Env = append(p.Env, environment...)
	p.Stdout, p.Stderr = p, p
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.Wait() // the tests look at ProcessState
		close(p.exited)
	}()
	t.Cleanup(func() {
		p.End(t, syscall.SIGKILL)
		if t.Failed() {
			t.Logf("%s: %v\n%s", strings.Join(p.Args, " "), p.ProcessState, p.Logged())
		}
	})
	return p
}

// Write notes what the program prints.
func (p *Program) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.Write(text)
}

// Logged is what the program has printed.
func (p *Program) Logged() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

// Signal sends a signal.
func (p *Program) Signal(t testing.TB, signal syscall.Signal) {
	t.Helper()
	if err := p.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
}

// End sends a signal to a process that has not ended, and waits for its end.
func (p *Program) End(t testing.TB, signal syscall.Signal) {
	t.Helper()
	_ = p.Process.Signal(signal)
	select {
	case <-p.exited:
	case <-time.After(Patience):
		t.Errorf("%s does not end", p.Args)
	}
}

// Eventually waits for what nothing tells of.
func Eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for until := time.Now().Add(Patience); !is(); <-time.After(20 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("waited for %v in vain: %s", Patience, what)
		}
	}
}
