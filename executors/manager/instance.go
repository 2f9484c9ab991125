package manager

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sublet-hpc/sublet/internal/control"
	"github.com/sublet-hpc/sublet/internal/statspage"
	"github.com/sublet-hpc/sublet/resources/api"
)

const (
	// startPatience is how long an executor may take to load its library, from a slow file system.
	startPatience = time.Minute
	// passPatience is how long an executor may leave frames unread: its control goroutine has
	// nothing else to do.
	passPatience = 10 * time.Second
	// remainsPatience is how long to read what a process that has exited left in its socket. It is
	// there at once; only a child of its own that kept the socket makes us wait.
	remainsPatience = 100 * time.Millisecond
)

// instance is one process of an executor.
type instance struct {
	process   *Process
	conn      *control.Conn
	page      *statspage.Page
	tally     *tally
	meter     *meter // of the lease; nil: of none, or nobody bills it
	functions []control.Function
	started   time.Time // when its library was loaded
	spare     bool      // it was started for the pool, and is told what it would have inherited
	killedFor string    // why the manager has killed it, if nobody had asked; set before it exits

	mu    sync.Mutex
	calls map[uint64]struct{} // requests passed on and not answered yet; nil when it is gone
}

// start has a process for an executor, which loads the library: a spare, or a new one.
func (l *lease) start(ctx context.Context, index int, place api.Executor) (*instance, error) {
	if i := l.manager.pool.take(ctx, l, place); i != nil {
		l.count(i)
		i, err := l.set(ctx, i, index, place)
		if !errors.Is(err, errSpareEnded) {
			return i, err
		}
		l.log.Info("a spare executor was of no use; a new one is started", "error", err)
	}
	i, err := l.spawn(index, place)
	if err != nil {
		return nil, &control.Failed{Code: control.CodeStart, Text: fmt.Sprintf("executor %d of the lease on %s: %v", index, l.manager.node.Name, err)}
	}
	l.count(i)
	return l.set(ctx, i, index, place)
}

// count has a process counted as the lease's, until it has ended.
func (l *lease) count(i *instance) {
	i.meter = l.meter
	l.meter.start(i)
}

// set has a process load the library; if it does not, it is ended.
func (l *lease) set(ctx context.Context, i *instance, index int, place api.Executor) (*instance, error) {
	// The process is killed when it takes too long or is not wanted any more.
	ctx, cancel := context.WithTimeoutCause(ctx, startPatience, fmt.Errorf("it has not loaded %s within %v", l.request.Library, startPatience))
	defer cancel()
	stop := context.AfterFunc(ctx, i.process.Kill)
	err := i.load(l, index, place)
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err == nil {
		return i, nil
	}
	i.end()
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	} else if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || isReset(err) || errors.Is(err, os.ErrDeadlineExceeded) {
		err = fmt.Errorf("it %s before it had loaded %s", describeStatus(i.process.Status()), l.request.Library)
		if i.spare { // which may have happened before it was asked to
			return nil, fmt.Errorf("%w: %w", errSpareEnded, err)
		}
	}
	var failed *control.Failed
	if !errors.As(err, &failed) {
		failed = &control.Failed{Code: control.CodeStart, Text: fmt.Sprintf("executor %d of the lease on %s could not be started: %v", index, l.manager.node.Name, err)}
	}
	return nil, failed
}

// spawn starts a process for an executor.
func (l *lease) spawn(index int, place api.Executor) (*instance, error) {
	return l.manager.spawn(&Command{
		Path: l.program,
		Args: []string{"sublet-executor", "--lease", l.record.ID, "--index", strconv.Itoa(index)},
		Env:  l.env, CPUs: l.manager.cpusOf(place), Output: l.output,
	})
}

// cpusOf are those that an executor runs on: all of its threads, for those that functions start inherit what the
// loop's thread has.
func (m *Manager) cpusOf(place api.Executor) []int {
	if place.Core == api.NoCore {
		return m.cpus
	}
	return m.capacity.cpus(place)
}

// spawn starts a process with a control connection and a stats page.
func (m *Manager) spawn(command *Command) (*instance, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("a socket for its control connection: %w", err)
	}
	theirs := os.NewFile(uintptr(pair[1]), "control connection")
	defer theirs.Close()
	conn, err := control.FromFile(os.NewFile(uintptr(pair[0]), "control connection"))
	if err != nil {
		return nil, err
	}
	page, pageFile, err := statspage.New()
	if err != nil {
		conn.Close()
		return nil, err
	}
	defer pageFile.Close()
	command.Files = []*os.File{theirs, pageFile}
	process, err := m.starter.Start(command)
	if err != nil {
		conn.Close()
		page.Close()
		return nil, err
	}
	i := &instance{process: process, conn: conn, page: page, tally: m.tally, calls: map[uint64]struct{}{}}
	m.tally.began(i)
	return i, nil
}

// load sends the task and waits for the library to be loaded.
func (i *instance) load(l *lease, index int, place api.Executor) error {
	const call = 1
	start := control.Start{
		Lease: l.record.ID, Index: index, Library: l.request.Library, HotTimeout: l.request.HotTimeout, StackSize: l.request.StackSize,
		Memory: place.Memory, Libfabric: l.request.Libfabric,
	}
	var files []*os.File
	if i.spare {
		start.Output, start.Environment, start.CPUs = true, l.request.Environment, l.manager.cpusOf(place)
		files = append(files, l.output)
	}
	if l.library != nil {
		start.Content = true
		files = append(files, l.library.file)
	}
	if err := i.conn.Send(control.TypeStart, call, index, start, files...); err != nil && !isReset(err) {
		return err
	}
	stop := i.bounded()
	defer stop()
	frame, err := i.conn.Receive()
	if err != nil {
		return err
	}
	defer frame.Close()
	var started control.Started
	if err := frame.Decode(&started); err != nil {
		return err
	}
	if frame.Type != control.TypeStarted || frame.Call != call {
		return &control.ProtocolError{Reason: "an executor answers its start with " + frame.Type}
	}
	i.functions, i.started = started.Functions, time.Now()
	return nil
}

// bounded makes receiving end soon after the process has: children of its own may keep the
// socket. The result stops that.
func (i *instance) bounded() (stop func()) {
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		select {
		case <-i.process.Exited():
			_ = i.conn.Stream().SetReadDeadline(time.Now().Add(remainsPatience))
		case <-quit:
		}
	}()
	return func() {
		close(quit)
		<-done
	}
}

// pass forwards a request and remembers that it wants an answer.
func (i *instance) pass(frame *control.Frame) error {
	i.mu.Lock()
	if i.calls == nil {
		i.mu.Unlock()
		return errGone
	}
	if frame.Call != 0 {
		i.calls[frame.Call] = struct{}{}
	}
	i.mu.Unlock()
	err := i.conn.Stream().SetWriteDeadline(time.Now().Add(passPatience))
	if err == nil {
		err = i.conn.Forward(frame)
	}
	if err != nil {
		// Half a frame may be written: the connection is of no more use, and neither is the
		// process. Its end answers the call.
		i.process.Kill()
	}
	return nil
}

// relay forwards the executor's answers to the client until the connection ends. What nobody asked
// for is dropped, and so are descriptors, which no answer has: a function could write to the socket
// as well, and fill the client's table of files.
func (i *instance) relay(index int, client *control.Conn) error {
	for {
		frame, err := i.conn.Receive()
		if err != nil {
			return err
		}
		i.mu.Lock()
		_, asked := i.calls[frame.Call]
		delete(i.calls, frame.Call)
		i.mu.Unlock()
		frame.Close()
		if asked {
			frame.Executor = index
			_ = client.Forward(frame) // a client that is gone ends its lease elsewhere
		}
	}
}

// abandon returns the requests that will not be answered any more; there will be no others.
func (i *instance) abandon() []uint64 {
	i.mu.Lock()
	defer i.mu.Unlock()
	var calls []uint64
	for call := range i.calls {
		calls = append(calls, call)
	}
	i.calls = nil
	return calls
}

// end kills the process, waits for its end and frees what belonged to it.
func (i *instance) end() {
	i.process.Forget()
	i.conn.Close()
	i.tally.ended(i)
	i.meter.finish(i)
	i.page.Close()
}

// epitaph says how the process ended, once it has.
func (i *instance) epitaph(index int) control.Ended {
	ended := control.Ended{Executor: index, Reason: i.killedFor}
	status, stats := i.process.Status(), i.page.Read()
	if status.Signaled() {
		ended.Signal = int(status.Signal())
	} else {
		ended.ExitCode = status.ExitStatus()
	}
	if !stats.Initialized || stats.State != statspage.Running {
		return ended
	}
	ended.Function, ended.ExitCalled, ended.OutOfMemory = stats.Function, stats.ExitCalled, stats.OutOfMemory
	if ended.Signal == 0 && stats.Signal > 0 && stats.Signal < 65 {
		// The signal came while the function ran, and something in the process turned it into an exit.
		ended.Signal, ended.ExitCode = stats.Signal, 0
	}
	return ended
}

// fruitless tells whether the process, which has ended, has been of no use at all.
func (i *instance) fruitless() bool {
	stats := i.page.Read()
	return stats.Invocations == 0 && stats.State != statspage.Running && time.Since(i.started) < fruitlessLife
}

func describeStatus(status syscall.WaitStatus) string {
	if status.Signaled() {
		return "was killed by " + unix.SignalName(status.Signal())
	}
	return fmt.Sprintf("exited with status %d", status.ExitStatus())
}
