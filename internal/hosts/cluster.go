package hosts

import (
	"context"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/sublet-hpc/sublet/resources/api"
)

// Cluster is a resource manager on the test's host, and those who use it.
type Cluster struct {
	// Dir is the run directory.
	Dir string
	// Manager is the resource manager.
	Manager *Program

	bin     string
	address string // at which it listens
}

// NewCluster starts one from the programs in bin, which the test's own sessions use as well.
func NewCluster(t testing.TB, bin string) *Cluster {
	t.Helper()
	return NewClusterAt(t, bin, Address)
}

// NewClusterAt starts one at another address of the test's host.
func NewClusterAt(t testing.TB, bin, address string) *Cluster {
	t.Helper()
	c := &Cluster{Dir: t.TempDir(), bin: bin, address: address}
	t.Setenv("SUBLET_DIR", c.Dir)
	t.Setenv("SUBLET_BIN", bin)
	c.Open(t)
	return c
}

// Open starts the resource manager, again if it has ended.
func (c *Cluster) Open(t testing.TB) {
	t.Helper()
	command := exec.Command(filepath.Join(c.bin, "sublet"), "resource-manager", "--listen", net.JoinHostPort(c.address, "0"))
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	before, _ := api.ReadAccess(c.Dir)
	c.Manager = c.Start(t, command)
	Eventually(t, "access.json", func() bool {
		access, err := api.ReadAccess(c.Dir)
		return err == nil && access != before
	})
}

// Start starts a program that finds the resource manager.
func (c *Cluster) Start(t testing.TB, command *exec.Cmd) *Program {
	t.Helper()
	return Start(t, command, "SUBLET_DIR="+c.Dir, "SUBLET_BIN="+c.bin, "SUBLET_LOG=debug")
}

// Lend starts an executor manager on a host, and waits until its cores can be leased.
func (c *Cluster) Lend(t testing.TB, h *Host, flags ...string) *Program {
	t.Helper()
	p := c.Start(t, h.Command(filepath.Join(c.bin, "sublet"), append([]string{"executor-manager"}, flags...)...))
	Eventually(t, "its registration", func() bool { return strings.Contains(p.Logged(), "msg=registered") })
	return p
}

// Client talks to the resource manager.
func (c *Cluster) Client(t testing.TB) *api.Client {
	t.Helper()
	client, err := api.Open(c.Dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// Free is what the resource manager can lend.
func (c *Cluster) Free(t testing.TB) (free, nodes int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()
	list, err := c.Client(t).Nodes(ctx, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, node := range list {
		free += int(node.Free[api.Cores])
	}
	return free, len(list)
}
