package manager

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/user"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/sublet-hpc/sublet/internal/attempts"
	"github.com/sublet-hpc/sublet/internal/binaries"
	"github.com/sublet-hpc/sublet/internal/control"
	"github.com/sublet-hpc/sublet/internal/cpus"
	"github.com/sublet-hpc/sublet/resources/api"
)

// Options of a manager. Zero values are sensible; an embedded helper sets Pool.
type Options struct {
	// Executor is the path of sublet-executor. Empty: it is looked for when a lease needs it.
	Executor string
	// Starter starts executors; the manager closes it. Nil: plain processes.
	Starter Starter
	// Log is where to log. Nil: nowhere.
	Log *slog.Logger
	// Name of the node; empty: the host's.
	Name string
	// Job is the number of Slurm's job that this is part of; 0: none.
	Job uint32
	// Cores says which of the cores that could be lent are; nil: all.
	Cores func(all []int) ([]int, error)
	// CPUs is how many this job has; 0: all that it can run on. Where it can run on more, because nothing holds it to its
	// own, it lends as many cores as it has, and pins nobody: which are its own can not be told.
	CPUs int
	// Memory is the most to lend, in bytes; 0: all that goes with the cores.
	Memory int64
	// Unpinned executors run on all CPUs of the job: the cores that leases have are only counted.
	Unpinned bool
	// Pool is how many spare executors to keep ready for leases, where as many cores are free.
	// DefaultPool: one for each core, at most 4.
	Pool int
	// Wish, of RunEmbedded, ends when who has started the helper is its client, or wants none any more. Nil: nobody tells.
	Wish io.Reader

	// tickets are what leases need; nil: none is needed.
	tickets *tickets
	// direct is what proves clients on other hosts where there are no tickets; nil: there are none.
	direct *direct
	// changed is called, without waiting, when there is something to report; may be nil.
	changed func()
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
	tickets  *tickets // nil: this manager grants leases itself
	direct   *direct  // nil: it does so on its own host alone, or not at all
	pool     *pool
	tally    *tally
	tenants  *tenants

	libraries *libraries

	ctx    context.Context // ends with Close
	cancel context.CancelFunc

	// identity is who it is to clients on other hosts; strangers' failures to say who they are are counted.
	identity *api.Identity
	failures *attempts.Limit

	// strangers are clients on other hosts that have not shown a ticket.
	strangers *attempts.Strangers

	mu      sync.Mutex
	closed  bool
	clients sync.WaitGroup
}

// New makes the manager of this node.
func New(options Options) (*Manager, error) {
	m := &Manager{log: options.Log, program: options.Executor, starter: options.Starter, tickets: options.tickets, direct: options.direct, tally: newTally(), tenants: newTenants()}
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
	if options.Cores != nil {
		if cores, err = choose(cores, options.Cores); err != nil {
			return nil, err
		}
	}
	if within := atMost(cores, options.CPUs); len(within) < len(cores) {
		m.log.Info("this job could run on more CPUs than it has: executors are not pinned", "cpus", options.CPUs, "could", len(m.cpus))
		cores, options.Unpinned = within, true
	}
	if m.node, err = describeNode(options.Name, cores); err != nil {
		return nil, err
	}
	m.node.Job = options.Job
	if m.node.Memory, err = lendableMemory(cores, m.cpus); err != nil {
		return nil, err
	}
	if options.Memory > 0 {
		m.node.Memory = min(m.node.Memory, options.Memory)
	}
	if m.capacity, err = newCapacity(m.node, cores, m.log); err != nil {
		return nil, err
	}
	m.capacity.changed = options.changed
	if options.Unpinned {
		m.capacity.all = m.cpus
	}
	if m.tickets != nil {
		m.tickets.node = m.node.Name
	}
	if m.starter == nil {
		if m.starter, err = NewProcessStarter(m.log); err != nil {
			return nil, err
		}
	}
	if m.tickets != nil || m.direct != nil {
		if m.identity, err = api.NewIdentity(); err != nil {
			return nil, fmt.Errorf("executor manager: %w", err)
		}
	}
	m.failures = attempts.New(failuresBurst, failuresRate)
	m.strangers = attempts.NewStrangers(maxStrangers)
	m.ctx, m.cancel = context.WithCancel(context.Background())
	m.libraries = newLibraries()
	m.pool = newPool(m, options.Pool)
	m.log.Info("executor manager", "node", m.node.Name, "cores", m.node.Cores, "pinned", !options.Unpinned, "memory", m.node.Memory, "pool", m.pool.size)
	return m, nil
}

// choose keeps the cores that are to be lent.
func choose(cores []core, choice func([]int) ([]int, error)) ([]core, error) {
	var all []int
	for _, core := range cores {
		all = append(all, core.ID)
	}
	chosen, err := choice(all)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(cores), func(c core) bool { return !slices.Contains(chosen, c.ID) }), nil
}

// atMost are the first cores that have no more than some CPUs altogether; all of them if that is 0.
func atMost(cores []core, most int) []core {
	have := 0
	for i, c := range cores {
		if have += len(c.CPUs); most > 0 && have > most {
			return cores[:i]
		}
	}
	return cores
}

func describeNode(name string, cores []core) (api.Node, error) {
	if name == "" {
		var err error
		if name, err = os.Hostname(); err != nil {
			return api.Node{}, fmt.Errorf("executor manager: the name of this node: %w", err)
		}
	}
	node := api.Node{Name: name, UID: os.Getuid(), Account: os.Getenv("SLURM_JOB_ACCOUNT"), Cores: []int{}}
	node.User = strconv.Itoa(node.UID)
	if u, err := user.LookupId(node.User); err == nil { // else a user that only the directory service knows
		node.User = u.Username
	}
	for _, core := range cores {
		node.Cores = append(node.Cores, core.ID)
	}
	node.NUMA = cpus.NUMA(cores, cpus.Folder)
	return node, nil
}

// Serve serves a client until it goes, breaks the protocol, or the manager is closed; by then its
// lease has ended. It takes over the stream.
func (m *Manager) Serve(stream *net.UnixConn) {
	if !m.enter(stream) {
		return
	}
	defer m.clients.Done()
	c, err := newClient(m, stream)
	if err != nil {
		m.log.Warn("a client was refused", "error", err)
		stream.Close()
		return
	}
	c.serve()
}

// ServeRemote is Serve for a client on another host.
func (m *Manager) ServeRemote(stream net.Conn) {
	if !m.enter(stream) {
		return
	}
	defer m.clients.Done()
	known := m.strangers.Enter(stream.RemoteAddr(), func() {
		m.log.Debug("a client is dropped: too many have shown no ticket", "client", stream.RemoteAddr())
		stream.Close()
	})
	secured, err := m.secure(stream)
	if err != nil {
		known()
		m.log.Debug("a connection was ended before it was encrypted", "client", stream.RemoteAddr(), "error", err)
		stream.Close()
		return
	}
	newRemoteClient(m, secured, known).serve()
}

// secure makes the manager's end of TLS.
func (m *Manager) secure(stream net.Conn) (*tls.Conn, error) {
	ctx, cancel := context.WithTimeout(m.ctx, helloPatience)
	defer cancel()
	secured := tls.Server(stream, m.identity.Config())
	err := secured.HandshakeContext(ctx)
	return secured, err
}

const (
	// failuresBurst and failuresRate are how many leases without a right to them an address can ask for
	// before its connection is ended: at once, and each second.
	failuresBurst = 10
	failuresRate  = 1
)

// maxStrangers bounds what those can cost who have no ticket.
const maxStrangers = 256

// enter counts a client, or turns it away because the manager ends.
func (m *Manager) enter(stream net.Conn) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		stream.Close()
		return false
	}
	m.clients.Add(1)
	return true
}

// admit checks the ticket of a lease; nil: this manager grants leases itself.
func (m *Manager) admit(request control.LeaseRequest, challenge []byte) (*api.Ticket, error) {
	if m.tickets == nil {
		return nil, nil
	}
	ticket, err := m.tickets.use(shown{request.Ticket, request.Proof, challenge}, time.Now())
	if err != nil {
		m.tally.refusal()
		return nil, &control.Failed{Code: control.CodeTicket, Text: fmt.Sprintf("node %s: %v", m.node.Name, err)}
	}
	if len(ticket.Executors) != request.Executors {
		m.tickets.over(ticket.Lease)
		return nil, &control.Failed{Code: control.CodeTicket, Text: fmt.Sprintf("node %s: the ticket is for %d executors, %d are asked for", m.node.Name, len(ticket.Executors), request.Executors)}
	}
	return ticket, nil
}

// Close ends all leases and connections, and returns when nothing of them is left.
func (m *Manager) Close() {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	m.cancel()
	m.clients.Wait()
	m.pool.close()
	m.libraries.close()
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
