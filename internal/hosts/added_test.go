package hosts_test

import (
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/sublet-hpc/sublet/internal/hosts"
	"github.com/sublet-hpc/sublet/offload"
	"github.com/sublet-hpc/sublet/resources/api"
)

// surfaced is a resource manager with rFaaS's interface, and an executor manager n that has registered.
func surfaced(t *testing.T) (post func(path, body string)) {
	t.Helper()
	const address = "127.0.0.1:5001"
	dir := t.TempDir()
	t.Setenv("SUBLET_DIR", filepath.Join(dir, "run"))
	t.Setenv("SUBLET_BIN", filepath.Dir(sublet))
	for name, content := range map[string]string{
		"devices.json":          `{"devices": [{"name": "d", "ip_address": "` + hosts.Address + `"}]}`,
		"resource_manager.json": `{"config": {"rdma_device": "d", "rdma_device_port": 0, "http_network_address": "127.0.0.1", "http_network_port": 5001}}`,
	} {
		check(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
	start := func(arguments ...string) *hosts.Program {
		command := exec.Command(sublet, arguments...)
		command.Dir = dir
		command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		return hosts.Start(t, command)
	}
	start("resource-manager", "-c", "resource_manager.json", "--device-database", "devices.json")
	n := start("executor-manager", "--name", "n")
	hosts.Eventually(t, "its registration", func() bool { return strings.Contains(n.Logged(), "msg=registered") })
	return func(path, body string) {
		t.Helper()
		reply, err := http.Post("http://"+address+path, "application/json", strings.NewReader(body))
		check(t, err)
		defer reply.Body.Close()
		if text, err := io.ReadAll(reply.Body); err != nil || reply.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s %s %v", path, reply.Status, text, err)
		}
	}
}

// What is said of a node while a lease has a core of it bounds those that come after, and the lease goes on:
// also when its manager has to register again because of it.
func TestNodesAreBoundWhileTheyAreLent(t *testing.T) {
	spare(t)
	post := surfaced(t)
	client, err := api.Open("")
	check(t, err)
	t.Cleanup(client.Close)
	memory := func() int64 {
		nodes, err := client.Nodes(within(t), "")
		check(t, err)
		if len(nodes) != 1 || nodes[0].Occupants == nil {
			return 0 // it is registering again
		}
		return nodes[0].Memory
	}
	s := session(t)
	l := lease(t, s, 1)
	e := l.Executors()[0]
	has := e.Memory()
	post("/add?node=n", `{"ip_address": "`+hosts.Address+`", "port": 10005, "cores": 1, "memory": 64}`)
	hosts.Eventually(t, "its memory is bound to what is lent", func() bool { return memory() == has })
	echo(t, s, e, 1000)
	_, err = s.Lease(within(t), offload.Want{Executors: 1, Library: library})
	if !errors.Is(err, offload.ErrNoCapacity) {
		t.Errorf("a second core: %v", err)
	}
	if l.Lost() > 0 {
		t.Errorf("the lease did not go on: %v", l.Losses())
	}
	check(t, l.Release())
	hosts.Eventually(t, "its memory is bound to what was said", func() bool { return memory() == 64<<20 })
	l = lease(t, s, 1)
	if l.Lost() > 0 || l.Memory() > 64<<20 {
		t.Errorf("%d bytes; lost: %v", l.Memory(), l.Losses())
	}
	post("/remove?node=n", "")
	echo(t, s, l.Executors()[0], 1000)
	check(t, l.Release())
	if _, err = s.Lease(within(t), want(0)); !errors.Is(err, offload.ErrNoCapacity) || !strings.Contains(err.Error(), "taken out by /remove") {
		t.Errorf("of a node that was taken out: %v", err)
	}
	post("/add?node=n", `{"ip_address": "`+hosts.Address+`", "port": 10005, "cores": 2}`)
	hosts.Eventually(t, "its memory is not bound", func() bool { return memory() > 64<<20 })
	l = lease(t, s, 1)
	echo(t, s, l.Executors()[0], 1000)
	check(t, l.Release())
}
