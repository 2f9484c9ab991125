package manager

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/sublet-hpc/sublet/internal/control"
	"github.com/sublet-hpc/sublet/resources/api"
)

// maxExecutors is the most that a lease can ask for.
const maxExecutors = 1024

// lease is a lease of one client: being granted, granted, or ended.
type lease struct {
	client  *client
	manager *Manager
	call    uint64 // of the request
	request control.LeaseRequest
	output  *os.File // of the executors
	env     []string
	program string
	ticket  *api.Ticket // nil: the manager's own grant
	record  api.Lease   // as granted
	log     *slog.Logger
	meter   *meter // nil: nobody bills it

	ctx    context.Context // ends when the lease is to end
	cancel context.CancelFunc
	freed  chan struct{} // closed when cores and processes are
	ended  chan struct{} // closed when the client has been told as well

	library *libraryCopy // nil: the path will do
	limit   timeLimit

	mu        sync.Mutex
	executors []*executor // nil until all have started
	delivery  *delivery   // of the library, while the client sends it
}

// newLease checks a request and makes a lease of it that run begins. It takes the files if it
// succeeds.
func newLease(c *client, call uint64, request control.LeaseRequest, files []*os.File) (*lease, error) {
	invalid := func(format string, args ...any) error {
		return &control.Failed{Code: control.CodeInvalid, Text: fmt.Sprintf(format, args...)}
	}
	if request.Executors < 1 || request.Executors > maxExecutors {
		return nil, invalid("a lease of %d executors; it can be 1 to %d", request.Executors, maxExecutors)
	}
	if request.CoresPerExecutor < 0 || request.CoresPerExecutor > api.MaxCoresPerExecutor {
		return nil, invalid("executors of %d cores each; 1 to %d", request.CoresPerExecutor, api.MaxCoresPerExecutor)
	}
	if !filepath.IsAbs(request.Library) || strings.ContainsRune(request.Library, 0) {
		return nil, invalid("the function library %q is not an absolute path", request.Library)
	}
	if request.StackSize < 0 {
		return nil, invalid("a stack of %d bytes", request.StackSize)
	}
	if request.TimeLimit < 0 {
		return nil, invalid("a time limit of %v; it is above 0, or 0 for none", request.TimeLimit)
	}
	if request.Memory < 0 || request.Memory > 0 && request.Memory < api.MinMemory {
		return nil, invalid("executors with %d bytes of memory each; at least %d, or 0 for a share of the node's", request.Memory, api.MinMemory)
	}
	output, err := c.output(files)
	if err != nil {
		return nil, err
	}
	l, err := makeLease(c, call, request, output)
	if err != nil && len(files) == 0 {
		output.Close()
	}
	return l, err
}

// output is where the executors print to: what the client sent, or our own standard error for a
// client on another host.
func (c *client) output(files []*os.File) (*os.File, error) {
	if c.conn.PassesDescriptors() {
		if len(files) != 1 {
			return nil, &control.Failed{Code: control.CodeInvalid, Text: fmt.Sprintf("a lease request comes with one descriptor, for what functions print; %d came", len(files))}
		}
		return files[0], nil
	}
	fd, err := unix.FcntlInt(os.Stderr.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("the output of executors: %w", err)
	}
	return os.NewFile(uintptr(fd), "standard error"), nil
}

func makeLease(c *client, call uint64, request control.LeaseRequest, output *os.File) (*lease, error) {
	if err := checkEnvironment(request.Environment); err != nil {
		return nil, err
	}
	program, err := c.manager.executorProgram()
	if err != nil {
		return nil, &control.Failed{Code: control.CodeStart, Text: err.Error()}
	}
	ticket, err := c.manager.admit(request, c.challenge)
	if err != nil {
		return nil, err
	}
	if ticket != nil {
		c.manager.tickets.bind(ticket.Lease, c.cancel)
		request.CoresPerExecutor = ticket.Executors[0].CoreCount()
	}
	env := environment(os.Environ(), request.Environment, max(request.CoresPerExecutor, 1))
	l := &lease{
		client: c, manager: c.manager, call: call, request: request, output: output, env: env, program: program, ticket: ticket,
		log: c.log, freed: make(chan struct{}), ended: make(chan struct{}),
	}
	l.ctx, l.cancel = context.WithCancel(c.ctx)
	return l, nil
}

// run is the life of the lease.
func (l *lease) run() {
	defer close(l.ended)
	l.manager.tenants.enter(l)
	failure := l.grant()
	if failure == nil {
		l.manager.tenants.granted(l)
		var watching sync.WaitGroup
		for _, e := range l.executors {
			watching.Go(e.watch)
		}
		<-l.ctx.Done()
		watching.Wait()
	}
	l.cancel()
	l.limit.stop()
	l.meter.end(time.Now())
	l.manager.capacity.release(l.record.ID)
	l.manager.pool.kick()
	if l.ticket != nil {
		l.manager.tickets.over(l.ticket.Lease)
	}
	l.output.Close()
	if l.library != nil {
		l.manager.libraries.giveBack(l.library)
	}
	l.log.Info("lease ended")
	l.manager.tenants.leave(l)
	close(l.freed) // before the answer, after which the client may ask again
	if failure != nil {
		l.client.send(control.TypeFailed, l.call, control.Manager, asFailed(failure))
	}
}

// end ends the lease, and returns when nothing of it is left.
func (l *lease) end() {
	l.cancel()
	<-l.ended
}

func (l *lease) isFreed() bool {
	select {
	case <-l.freed:
		return true
	default:
		return false
	}
}

// grant takes cores, starts the executors on them and tells the client. If it fails nothing runs.
func (l *lease) grant() error {
	record, err := l.take()
	if err != nil {
		return err
	}
	l.record = record
	l.log = l.log.With("lease", record.ID)
	l.limit.start(l)
	if err := l.content(); err != nil {
		return err
	}
	defer l.manager.pool.hold()()
	if l.request.Libfabric {
		l.manager.pool.useNetwork()
	}
	if len(record.Executors) > control.MaxDescriptors {
		return &control.Failed{Code: control.CodeLimit, Text: fmt.Sprintf("a lease of %d executors; on one node it can be at most %d, for their descriptors travel in one frame; ask for several leases",
			len(record.Executors), control.MaxDescriptors)}
	}

	executors := make([]*executor, len(record.Executors))
	starting, ctx := errgroup.WithContext(l.ctx)
	for i, place := range record.Executors {
		executors[i] = &executor{lease: l, index: i, place: place, log: l.log.With("executor", i)}
		starting.Go(func() (err error) {
			executors[i].current, err = l.start(ctx, i, place)
			return err
		})
	}
	if err := starting.Wait(); err != nil {
		for _, e := range executors {
			if e.current != nil {
				e.current.end()
			}
		}
		return err
	}

	granted := control.Granted{Lease: record.ID, Node: l.manager.node.Name, Functions: executors[0].current.functions}
	var pidfds []*os.File
	for _, e := range executors {
		granted.Executors = append(granted.Executors, e.describe(e.current))
		pidfds = append(pidfds, e.current.process.Descriptor)
	}
	l.mu.Lock()
	l.executors = executors
	l.mu.Unlock()
	l.log.Info("lease granted", "executors", granted.Executors)
	l.client.send(control.TypeGranted, l.call, control.Manager, granted, pidfds...)
	return nil
}

// take has the lease's cores entered into the book: those that a ticket names, or free ones.
func (l *lease) take() (api.Lease, error) {
	if l.ticket != nil {
		record, err := l.manager.capacity.adopt(l.ticket)
		if err == nil {
			l.meter = newMeter(ownMemory(record), time.Now())
			l.manager.tickets.measure(record.ID, l.meter)
		}
		return record, err
	}
	want := wanted{executors: l.request.Executors, cores: l.request.CoresPerExecutor, memory: l.request.Memory, oversubscribe: l.request.Oversubscribe, limit: l.request.TimeLimit}
	return l.manager.capacity.wait(l.ctx, want, l.request.Wait)
}

// executor finds one of the lease's executors.
func (l *lease) executor(index int) (*executor, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.executors == nil {
		return nil, &control.Failed{Code: control.CodeInvalid, Text: "the lease has not been granted"}
	}
	if index < 0 || index >= len(l.executors) {
		return nil, &control.Failed{Code: control.CodeInvalid, Text: fmt.Sprintf("lease %s has no executor %d; it has %d", l.record.ID, index, len(l.executors))}
	}
	return l.executors[index], nil
}

// pass hands a client's frame to its executor.
func (l *lease) pass(frame *control.Frame) error {
	e, err := l.executor(frame.Executor)
	if err != nil {
		return err
	}
	return e.pass(frame)
}

// kill ends one process, if it is still the one that is meant. Its end is noticed as any other.
func (l *lease) kill(kill control.Kill) {
	e, err := l.executor(kill.Executor)
	if err != nil {
		l.log.Info("an executor that the client wants killed is not there", "error", err)
		return
	}
	if instance := e.instance(); instance != nil && instance.process.PID == kill.PID {
		e.log.Info("killed as its client asks")
		instance.process.Kill()
	}
}
