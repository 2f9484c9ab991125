package slurmlab

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/sublet-hpc/sublet/internal/hosts"
	"github.com/sublet-hpc/sublet/resources/api"
)

// Cluster is a resource manager on the login node, to which executor managers of jobs lend their nodes.
type Cluster struct {
	// Dir is its run directory, which all nodes share.
	Dir string
	// Manager is the resource manager.
	Manager *hosts.Program

	lab    *Lab
	client *api.Client
}

// NewCluster starts a resource manager, which ends with the test.
func (l *Lab) NewCluster(t testing.TB) *Cluster {
	t.Helper()
	c := &Cluster{Dir: l.Folder(t), lab: l}
	command := exec.Command(filepath.Join(l.Bin, "sublet"), "resource-manager", "--dir", c.Dir, "--listen", LoginAddress+":0")
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	c.Manager = hosts.Start(t, command)
	Eventually(t, "access.json", func() bool {
		client, err := api.Open(c.Dir)
		c.client = client
		return err == nil
	})
	t.Cleanup(c.client.Close)
	return c
}

// Manage is a line of a job's script that runs an executor manager on each of its nodes, with these flags.
func (c *Cluster) Manage(flags string) string {
	return "srun --ntasks-per-node=1 --cpus-per-task=$SLURM_CPUS_ON_NODE --cpu-bind=none --mem=0 --no-kill " +
		filepath.Join(c.lab.Bin, "sublet") + " executor-manager --dir " + c.Dir + " " + flags
}

// Nodes are the names of the nodes that lend, sorted.
func (c *Cluster) Nodes(t testing.TB) []string {
	t.Helper()
	names := []string{}
	for _, node := range c.List(t) {
		if node.State == api.NodeLending {
			names = append(names, node.Name)
		}
	}
	return names
}

// List is what the resource manager says of its nodes, by name.
func (c *Cluster) List(t testing.TB) []api.NodeStatus {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	list, err := c.client.Nodes(ctx, "")
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// AwaitNodes waits until these nodes lend, and no others.
func (c *Cluster) AwaitNodes(t testing.TB, names ...string) {
	t.Helper()
	var lending []string
	patient(t, hosts.Patience, func() string { return fmt.Sprintf("%v are to lend, and %v do", names, lending) }, func() bool {
		lending = c.Nodes(t)
		return slices.Equal(lending, names)
	})
}
