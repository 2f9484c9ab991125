package hosts_test

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sublet-hpc/sublet/internal/buildtest"
	"github.com/sublet-hpc/sublet/internal/cpus"
	"github.com/sublet-hpc/sublet/internal/hosts"
	"github.com/sublet-hpc/sublet/offload"
	"github.com/sublet-hpc/sublet/resources/api"
)

// managerEntry is one of an executors database.
type managerEntry struct {
	Node    string `json:"node"`
	Address string `json:"address"`
	Port    int    `json:"port"`
	Cores   int    `json:"cores"`
	Memory  int    `json:"memory"`
}

// direct has the test's sessions lease by an executors database, and its programs share a token.
func direct(t *testing.T, managers ...managerEntry) {
	t.Helper()
	text, err := json.Marshal(map[string]any{"executors": managers})
	check(t, err)
	path := filepath.Join(t.TempDir(), "executors_database.json")
	check(t, os.WriteFile(path, text, 0o600))
	t.Setenv("SUBLET_EXECUTORS_DATABASE", path)
	t.Setenv("SUBLET_BIN", filepath.Dir(sublet))
	t.Setenv("SUBLET_TOKEN_FILE", filepath.Join(t.TempDir(), "token"))
}

// lendDirect starts an executor manager without a resource manager.
func lendDirect(t *testing.T, command *exec.Cmd, address string, port int, flags ...string) *hosts.Program {
	t.Helper()
	command.Args = append(command.Args, "executor-manager", "--skip-resource-manager", "--listen", net.JoinHostPort(address, strconv.Itoa(port)))
	command.Args = append(command.Args, flags...)
	p := hosts.Start(t, command)
	hosts.Eventually(t, "its listening", func() bool { return strings.Contains(p.Logged(), "msg=listening") })
	return p
}

func here() *exec.Cmd {
	command := exec.Command(sublet)
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return command
}

// A lease of an executor here and one on another host, without a resource manager; and again when one of
// the managers was killed.
func TestLeasesByADatabase(t *testing.T) {
	h := hosts.New(t)
	direct(t, managerEntry{"near", hosts.Address, 10005, 1, 64}, managerEntry{"far", h.Address, 10005, 1, 0})
	lendDirect(t, here(), hosts.Address, 10005, "--name", "near")
	far := lendDirect(t, h.Command(sublet), h.Address, 10005, "--name", "far")
	s := session(t)
	if s.Node() != "near" {
		t.Errorf("this node is %q", s.Node())
	}
	l := lease(t, s, 2)
	for i, want := range []struct {
		node, transport string
		memory          int64
	}{{"near", "ring", 64 << 20}, {"far", "ofi-write", 0}} {
		e := l.Executors()[i]
		if e.Node() != want.node || e.Path().Transport != want.transport || want.memory > 0 && e.Memory() != want.memory {
			t.Errorf("executor %d is on %s by %s with %d bytes; want %+v", i, e.Node(), e.Path(), e.Memory(), want)
		}
		echo(t, s, e, 100_000)
	}
	_, err := s.Lease(within(t), offload.Want{Executors: 3, Library: library})
	if !errors.Is(err, offload.ErrNoCapacity) || !strings.Contains(err.Error(), "near at "+hosts.Address+":10005 has room for 0") && !strings.Contains(err.Error(), "near at "+hosts.Address+":10005 has room for 1") {
		t.Errorf("more than there are: %v", err)
	}
	check(t, l.Release())

	l = lease(t, s, 2)
	check(t, far.Process.Kill())
	far.End(t, syscall.SIGKILL)
	lendDirect(t, h.Command(sublet), h.Address, 10005, "--name", "far")
	hosts.Eventually(t, "an executor of the new manager", func() bool {
		in, out := offload.Alloc[byte](s, 8), offload.Alloc[byte](s, 8)
		_, err := l.Executors()[1].Invoke(within(t), "echo", in, out).Wait(within(t))
		return err == nil
	})
	check(t, l.Release())
}

// Who does not know the token gets nothing from another host, and a client gives nothing to a manager
// that does not know it.
func TestTrustBetweenHosts(t *testing.T) {
	h := hosts.New(t)
	direct(t, managerEntry{"far", h.Address, 10005, 1, 0})
	ours := os.Getenv("SUBLET_TOKEN_FILE")
	lendDirect(t, h.Command(sublet), h.Address, 10005, "--name", "far")
	check(t, lease(t, session(t), 1).Release())
	if refusal := show(t, net.JoinHostPort(h.Address, "10005"), "", api.NewOwner().Proof); !strings.Contains(refusal, "node far: a client on another host leases here with the token in "+ours) {
		t.Errorf("without a proof: %q", refusal)
	}
	connect := func() error {
		s, err := offload.Connect(within(t))
		if err == nil {
			check(t, s.Close())
		}
		return err
	}
	other := filepath.Join(t.TempDir(), "token")
	t.Setenv("SUBLET_TOKEN_FILE", other)
	if err := connect(); err == nil || !strings.Contains(err.Error(), "wants to see its token proved") || !strings.Contains(err.Error(), other) {
		t.Errorf("without a token: %v", err)
	}
	check(t, os.WriteFile(other, []byte(strings.Repeat("ab", 32)+"\n"), 0o600))
	if err := connect(); err == nil || !strings.Contains(err.Error(), "does not know the token in "+other) {
		t.Errorf("with another token: %v", err)
	}
	check(t, os.Chmod(other, 0o644))
	if err := connect(); err == nil || !strings.Contains(err.Error(), "only you can read") {
		t.Errorf("with a token that others can read: %v", err)
	}
	t.Setenv("SUBLET_TOKEN_FILE", ours)
	check(t, lease(t, session(t), 1).Release())
}

// Without a resource manager nothing says beforehand whose key a manager has. Somebody who stands between it and a client,
// with TLS to both, is found out by either.
func TestSomebodyInBetween(t *testing.T) {
	h := hosts.New(t)
	listener, err := net.Listen("tcp", hosts.Address+":10008")
	check(t, err)
	defer listener.Close()
	between, err := api.NewIdentity()
	check(t, err)
	passed := make(chan int64, 2)
	go func() {
		for {
			stream, err := listener.Accept()
			if err != nil {
				return
			}
			client := tls.Server(stream, between.Config())
			manager, err := tls.Dial("tcp", net.JoinHostPort(h.Address, "10005"), api.AnyServer())
			if err != nil {
				t.Error(err)
				return
			}
			go func() {
				n, _ := io.Copy(client, manager)
				passed <- n
				client.Close()
			}()
			_, _ = io.Copy(manager, client)
			manager.Close()
		}
	}()
	direct(t, managerEntry{"far", hosts.Address, 10008, 1, 0})
	lendDirect(t, h.Command(sublet), h.Address, 10005, "--name", "far")
	if _, err := offload.Connect(within(t)); err == nil || !strings.Contains(err.Error(), "somebody stands in between") {
		t.Errorf("through somebody in between: %v", err)
	}
	if n := <-passed; n == 0 {
		t.Error("nothing went through")
	}
}

// Two managers on one host lend no core twice, and who waits gets one that comes free.
func TestCoresAreLentOnceWithoutAResourceManager(t *testing.T) {
	all := spare(t)
	direct(t, managerEntry{"a", hosts.Address, 10005, all + 1, 0}, managerEntry{"b", hosts.Address, 10006, all + 1, 0})
	lendDirect(t, here(), hosts.Address, 10005, "--name", "a")
	lendDirect(t, here(), hosts.Address, 10006, "--name", "b")
	s := session(t)
	l := lease(t, s, all)
	_, err := s.Lease(within(t), want(0))
	if !errors.Is(err, offload.ErrNoCapacity) {
		t.Fatalf("one more than there are: %v", err)
	}
	free := time.AfterFunc(200*time.Millisecond, func() { _ = l.Release() })
	defer free.Stop()
	waited, err := s.Lease(within(t), want(patience))
	check(t, err)
	echo(t, s, waited.Executors()[0], 1000)
	check(t, waited.Release())
}

// pin_threads of an executor_manager.json.
func TestPinning(t *testing.T) {
	all := spare(t) + 1
	allowed, err := cpus.Allowed()
	check(t, err)
	dir := t.TempDir()
	check(t, os.WriteFile(filepath.Join(dir, "devices.json"), []byte(`{"devices": [{"name": "d", "ip_address": "`+hosts.Address+`"}]}`), 0o600))
	for pinning, pinned := range map[string]bool{"false": false, "true": true, "[" + strconv.Itoa(cpus.List(&allowed)[0]) + "]": true} {
		t.Run(pinning, func(t *testing.T) {
			direct(t, managerEntry{"n", hosts.Address, 10007, all, 0})
			file := filepath.Join(dir, "executor_manager.json")
			check(t, os.WriteFile(file, []byte(`{"config": {"rdma_device": "d", "rdma_device_port": 10007, "node_name": "n"}, "executor": {"pin_threads": `+pinning+`, "repetitions": 1}}`), 0o600))
			command := here()
			command.Args = append(command.Args, "executor-manager", "-c", file, "--device-database", filepath.Join(dir, "devices.json"), "--skip-resource-manager")
			p := hosts.Start(t, command)
			hosts.Eventually(t, "its listening", func() bool {
				return strings.Contains(p.Logged(), "address="+hosts.Address+":10007 socket=")
			})
			s := session(t)
			l, err := s.Lease(within(t), offload.Want{Executors: 1, Library: library, Oversubscribe: true}) // the rank may be on the core that is named
			check(t, err)
			e := l.Executors()[0]
			for range 3 { // repetitions end no executor
				echo(t, s, e, 100)
			}
			var set unix.CPUSet
			check(t, unix.SchedGetaffinity(e.PID(), &set))
			if got := set.Count() < allowed.Count(); got != pinned || !pinned && e.Core() >= 0 || e.Core() >= 0 && !set.IsSet(e.Core()) {
				t.Errorf("pin_threads %s: on CPUs %v of %v, core %d", pinning, cpus.List(&set), cpus.List(&allowed), e.Core())
			}
			if l.Lost() > 0 {
				t.Errorf("lost: %v", l.Losses())
			}
			check(t, l.Release())
		})
	}
}

// A benchmark of all executors that two hosts have.
func TestParallelBenchmark(t *testing.T) {
	h := hosts.New(t)
	direct(t, managerEntry{"near", hosts.Address, 10005, 1, 0}, managerEntry{"far", h.Address, 10005, 1, 0})
	lendDirect(t, here(), hosts.Address, 10005, "--name", "near")
	lendDirect(t, h.Command(sublet), h.Address, 10005, "--name", "far")
	check(t, buildtest.Programs(filepath.Dir(sublet), "cmd/sublet-bench"))
	file := filepath.Join(t.TempDir(), "benchmark.json")
	check(t, os.WriteFile(file, []byte(`{"config": {}, "benchmark": {"numcores": 2, "repetitions": 10, "memory": 64}}`), 0o600))
	out, err := exec.Command(filepath.Join(filepath.Dir(sublet), "sublet-bench"), "parallel", "-c", file, "--name", "echo", "--functions", library,
		"--executors-database", os.Getenv("SUBLET_EXECUTORS_DATABASE"), "-s", "1000", "--output", "json").Output()
	check(t, err)
	var result struct {
		Executors, Repetitions int
		Data                   uint32
		Median                 int64 `json:"median_ns"`
	}
	check(t, json.Unmarshal(out, &result))
	if result.Executors != 2 || result.Repetitions != 10 || result.Data != 1 || result.Median <= 0 {
		t.Errorf("%s", out)
	}
}
