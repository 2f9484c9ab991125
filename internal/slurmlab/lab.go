package slurmlab

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sublet-hpc/sublet/internal/hosts"
)

// Login is the node that tests run on, and slurmctld; LoginAddress is where others reach it.
const (
	Login        = "login"
	LoginAddress = "10.78.0.1"
)

// Lab is the cluster.
type Lab struct {
	// Bin has the project's programs and libraries, on every node.
	Bin string
	// Nodes are n1, n2, ..., without the login node.
	Nodes []string

	folder  string // of the lab
	scripts string
}

// Open finds the cluster, and has it whole again when the test is over.
func Open(t testing.TB) *Lab {
	t.Helper()
	folder := os.Getenv("SLURM_LAB")
	if _, err := os.Stat("/run/slurm-lab"); err != nil || folder == "" {
		t.Fatal("this test runs on the login node of a Slurm cluster that scripts/slurm-lab brings up: make slurm-lab TESTS=" + t.Name())
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	l := &Lab{Bin: filepath.Join(root, "bin"), folder: folder, scripts: filepath.Join(root, "scripts", "slurm-lab")}
	spools, err := filepath.Glob(filepath.Join(folder, "spool", "n*"))
	if err != nil || len(spools) == 0 {
		t.Fatalf("the lab in %s has no nodes: %v", folder, err)
	}
	for n := range spools {
		l.Nodes = append(l.Nodes, fmt.Sprintf("n%d", n+1))
	}
	l.awaitIdle(t)
	t.Cleanup(func() { l.restore(t) })
	return l
}

// Folder makes a folder for the test, which all nodes share and which stays for whoever wants to look.
func (l *Lab) Folder(t testing.TB) string {
	t.Helper()
	shared := filepath.Join(l.folder, "tests")
	if err := os.MkdirAll(shared, 0o755); err != nil {
		t.Fatal(err)
	}
	folder, err := os.MkdirTemp(shared, strings.ReplaceAll(t.Name(), "/", "-")+".")
	if err != nil {
		t.Fatal(err)
	}
	return folder
}

// Command is exec.Command on a node. What it starts there dies with the test.
func (l *Lab) Command(node, name string, arguments ...string) *exec.Cmd {
	command := exec.Command(name, arguments...)
	if node != Login {
		command = exec.Command(filepath.Join(l.scripts, "on"), append([]string{node, name}, arguments...)...)
	}
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return command
}

// Run runs a command on a node, which must succeed, and returns what it prints.
func (l *Lab) Run(t testing.TB, node, name string, arguments ...string) string {
	t.Helper()
	return run(t, l.Command(node, name, arguments...))
}

func run(t testing.TB, command *exec.Cmd) string {
	t.Helper()
	var stderr bytes.Buffer
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", strings.Join(command.Args, " "), err, out, &stderr)
	}
	return strings.TrimSpace(string(out))
}

func (l *Lab) script(t testing.TB, name string, arguments ...string) {
	t.Helper()
	run(t, exec.Command(filepath.Join(l.scripts, name), arguments...))
}

// Crash kills everything on a node at once; its network is gone, too.
func (l *Lab) Crash(t testing.TB, node string) { t.Helper(); l.script(t, "node", "crash", node) }

// Boot brings back a node that has crashed.
func (l *Lab) Boot(t testing.TB, node string) { t.Helper(); l.script(t, "node", "boot", node) }

// Cut has the network to a node swallow everything, without a word to either side, until Heal.
func (l *Lab) Cut(t testing.TB, node string) { t.Helper(); l.script(t, "node", "cut", node) }

// Heal ends Cut.
func (l *Lab) Heal(t testing.TB, node string) { t.Helper(); l.script(t, "node", "heal", node) }

// StopController ends slurmctld; what waits for it waits 10 s, Slurm's MessageTimeout, and fails.
func (l *Lab) StopController(t testing.TB) { t.Helper(); l.script(t, "ctl", "stop") }

// StartController starts slurmctld again, with the state that it has saved.
func (l *Lab) StartController(t testing.TB) { t.Helper(); l.script(t, "ctl", "start") }

// restore has everything as it was before the test.
func (l *Lab) restore(t testing.TB) {
	if _, running := controller(); !running {
		l.StartController(t)
	}
	for _, node := range l.Nodes {
		if l.process(node) == 0 {
			l.Boot(t, node)
		}
		l.Heal(t, node)
	}
	run(t, exec.Command("scancel", "--full", "--user=root"))
	l.awaitIdle(t)
}

// controller is slurmctld's process.
func controller() (pid string, running bool) {
	text, err := os.ReadFile("/run/slurmctld.pid")
	if err != nil {
		return "", false
	}
	pid = strings.TrimSpace(string(text))
	_, err = os.Stat("/proc/" + pid)
	return pid, err == nil
}

// awaitIdle waits until there are no jobs and all nodes are idle.
func (l *Lab) awaitIdle(t testing.TB) {
	t.Helper()
	var said []byte
	patient(t, 2*time.Minute, func() string { return "idle nodes alone:\n" + string(said) }, func() bool {
		var err error
		said, err = exec.Command("sinfo", "--noheader", "--Node", "--partition=batch", "--format=%N %T").CombinedOutput()
		lines := strings.Split(strings.TrimSpace(string(said)), "\n")
		return err == nil && len(lines) == len(l.Nodes) && !slices.ContainsFunc(lines, func(line string) bool { return !strings.HasSuffix(line, " idle") })
	})
}

// Eventually waits for what nothing tells of.
func Eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	hosts.Eventually(t, what, is)
}

// interval is how often is looked for what nothing tells of.
const interval = 50 * time.Millisecond

func patient(t testing.TB, patience time.Duration, what func() string, is func() bool) {
	t.Helper()
	for until := time.Now().Add(patience); !is(); <-time.After(interval) {
		if time.Now().After(until) {
			t.Fatalf("waited for %v in vain: %s", patience, what())
		}
	}
}
