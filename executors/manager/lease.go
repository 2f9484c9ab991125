package manager

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

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
	record  api.Lease // as granted
	log     *slog.Logger

	ctx    context.Context // ends when the lease is to end
	cancel context.CancelFunc
	freed  chan struct{} // closed when cores and processes are
	ended  chan struct{} // closed when the client has been told as well

	mu        sync.Mutex
	executors []*executor // nil until all have started
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
	if !filepath.IsAbs(request.Library) || strings.ContainsRune(request.Library, 0) {
		return nil, invalid("the function library %q is not an absolute path", request.Library)
	}
	if request.StackSize < 0 {
		return nil, invalid("a stack of %d bytes", request.StackSize)
	}
	if len(files) != 1 {
		return nil, invalid("a lease request comes with one descriptor, for what functions print; %d came", len(files))
	}
	env, err := environment(os.Environ(), request.Environment)
	if err != nil {
		return nil, err
	}
	program, err := c.manager.executorProgram()
	if err != nil {
		return nil, &control.Failed{Code: control.CodeStart, Text: err.Error()}
	}
	l := &lease{
		client: c, manager: c.manager, call: call, request: request, output: files[0], env: env, program: program,
		log: c.log, freed: make(chan struct{}), ended: make(chan struct{}),
	}
	l.ctx, l.cancel = context.WithCancel(c.ctx)
	return l, nil
}

// run is the life of the lease.
func (l *lease) run() {
	defer close(l.ended)
	failure := l.grant()
	if failure == nil {
		var watching sync.WaitGroup
		for _, e := range l.executors {
			watching.Go(e.watch)
		}
		<-l.ctx.Done()
		watching.Wait()
	}
	l.cancel()
	l.manager.capacity.release(l.record.ID)
	l.output.Close()
	l.log.Info("lease ended")
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

// grant takes cores, starts an executor on each and tells the client. If it fails nothing runs.
func (l *lease) grant() error {
	record, err := l.manager.capacity.grant(l.request.Executors, l.request.Oversubscribe)
	if err != nil {
		return err
	}
	l.record = record
	l.log = l.log.With("lease", record.ID)
	if len(record.Executors) > control.MaxDescriptors {
		return &control.Failed{Code: control.CodeLimit, Text: fmt.Sprintf("a lease of %d executors; on one node it can be at most %d, for their descriptors travel in one frame; ask for several leases",
			len(record.Executors), control.MaxDescriptors)}
	}

	executors := make([]*executor, len(record.Executors))
	starting, ctx := errgroup.WithContext(l.ctx)
	for i, place := range record.Executors {
		executors[i] = &executor{lease: l, index: i, place: place, log: l.log.With("executor", i)}
		starting.Go(func() (err error) {
			executors[i].current, err = l.start(ctx, i, place.Core)
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
