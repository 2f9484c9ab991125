package manager

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/user"
	"strconv"
	"sync"

	"github.com/sublet-hpc/sublet/internal/binaries"
	"github.com/sublet-hpc/sublet/internal/cpus"
	"github.com/sublet-hpc/sublet/resources/api"
)

// Options of a manager. The zero value of each is what an embedded helper uses.
type Options struct {
	// Executor is the path of sublet-executor. Empty: it is looked for when a lease needs it.
	Executor string
	// Starter starts executors; the manager closes it. Nil: plain processes.
	Starter Starter
	// Log is where to log. Nil: nowhere.
	Log *slog.Logger

	// cores that can be lent, for tests; nil: those of this machine.
	cores []core
}

// Manager lends the cores of this node.
type Manager struct {
	log      *slog.Logger
	node     api.Node
	cpus     []int // of the job
	program  string
	starter  Starter
	capacity *capacity

	ctx    context.Context // ends with Close
	cancel context.CancelFunc

	mu      sync.Mutex
	closed  bool
	clients sync.WaitGroup
}

// New makes the manager of this node.
func New(options Options) (*Manager, error) {
	m := &Manager{log: options.Log, program: options.Executor, starter: options.Starter}
	if m.log == nil {
		m.log = slog.New(slog.DiscardHandler)
	}
	set, err := cpus.Allowed()
	if err != nil {
		return nil, fmt.Errorf("executor manager: %w", err)
	}
	m.cpus = cpus.List(&set)
	cores := options.cores
	if cores == nil {
		var partial []int
		if cores, partial, err = cpus.Physical(&set, cpus.Folder); err != nil {
			return nil, fmt.Errorf("executor manager: %w", err)
		}
		if len(partial) > 0 {
			m.log.Info("some CPUs can not be lent: their cores have hardware threads outside this job", "cpus", partial)
		}
	}
	if m.node, err = describeNode(cores); err != nil {
		return nil, err
	}
	if m.capacity, err = newCapacity(m.node, cores, m.log); err != nil {
		return nil, err
	}
	if m.starter == nil {
		if m.starter, err = NewProcessStarter(m.log); err != nil {
			return nil, err
		}
	}
	m.ctx, m.cancel = context.WithCancel(context.Background())
	m.log.Info("executor manager", "node", m.node.Name, "cores", m.node.Cores)
	return m, nil
}

func describeNode(cores []core) (api.Node, error) {
	name, err := os.Hostname()
	if err != nil {
		return api.Node{}, fmt.Errorf("executor manager: the name of this node: %w", err)
	}
	node := api.Node{Name: name, UID: os.Getuid(), Account: os.Getenv("SLURM_JOB_ACCOUNT"), Cores: []int{}}
	node.User = strconv.Itoa(node.UID)
	if u, err := user.LookupId(node.User); err == nil { // else a user that only the directory service knows
		node.User = u.Username
	}
	for _, core := range cores {
		node.Cores = append(node.Cores, core.ID)
	}
	return node, nil
}

// Serve serves a client until it goes, breaks the protocol, or the manager is closed; by then its
// lease has ended. It takes over the stream.
func (m *Manager) Serve(stream *net.UnixConn) {
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		stream.Close()
		return
	}
	m.clients.Add(1)
	m.mu.Unlock()
	defer m.clients.Done()
	c, err := newClient(m, stream)
	if err != nil {
		m.log.Warn("a client was refused", "error", err)
		stream.Close()
		return
	}
	c.serve()
}

// Close ends all leases and connections, and returns when nothing of them is left.
func (m *Manager) Close() {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	m.cancel()
	m.clients.Wait()
	m.starter.Close()
	m.capacity.close()
}

// executorProgram finds sublet-executor.
func (m *Manager) executorProgram() (string, error) {
	if m.program != "" {
		return m.program, nil
	}
	return binaries.Find("sublet-executor")
}
