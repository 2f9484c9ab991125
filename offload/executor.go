package offload

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sublet-hpc/sublet/internal/control"
	"github.com/sublet-hpc/sublet/internal/fabric"
)

// Executor is one executor of a lease, identified by its index: when its process is lost, a
// replacement takes its place.
//
//	ready ── the process is gone ──▶ lost ── the manager has started another ──▶ ready
//	  └───────────── Lease.Release ───┴──▶ released
type Executor struct {
	lease *Lease
	index int

	mu         sync.Mutex
	info       control.Executor
	obituaries chan control.Ended // of the present process
	path       Path
	loss       error // why current is nil; set before it is

	current atomic.Pointer[connection]
}

// Index within the lease, from 0.
func (e *Executor) Index() int { return e.index }

// Core that it is pinned to, -1 for none.
func (e *Executor) Core() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.info.Core
}

// Oversubscribed tells whether it shares its core.
func (e *Executor) Oversubscribed() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.info.Oversubscribed
}

// PID of its process, on its node.
func (e *Executor) PID() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.info.PID
}

// Path is the transport and provider that it is reached by.
func (e *Executor) Path() Path {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.path
}

// Ready tells whether it can be invoked now: it is not lost, or has been replaced.
func (e *Executor) Ready() bool { return e.current.Load() != nil }

func (e *Executor) String() string { return fmt.Sprintf("executor %d on %s", e.index, e.lease.node) }

func (e *Executor) load() int32 {
	if c := e.current.Load(); c != nil {
		return c.load.Load()
	}
	return 0
}

// open makes the way to the executor's present process, whose pidfd it takes.
func (e *Executor) open(ctx context.Context, info control.Executor, process *os.File) error {
	watched, err := pollableFile(process)
	if err != nil {
		return err
	}
	alive, died := context.WithCancel(context.Background())
	c := &connection{executor: e, pid: info.PID, spin: e.lease.want.hot(), alive: alive, process: watched, gone: make(chan struct{})}
	if err := e.connect(ctx, c); err != nil {
		died()
		watched.Close()
		return fmt.Errorf("offload: reaching %s: %w", e, err)
	}
	obituaries := make(chan control.Ended, 1)
	e.mu.Lock()
	e.info, e.obituaries, e.path = info, obituaries, c.client.Path()
	e.current.Store(c)
	e.mu.Unlock()
	e.lease.watching.Add(1)
	go e.watch(c, obituaries, died)
	return nil
}

func pollableFile(file *os.File) (*os.File, error) {
	defer file.Close()
	raw, err := file.SyscallConn()
	if err != nil {
		return nil, err
	}
	var made *os.File
	var inner error
	if err := raw.Control(func(fd uintptr) { made, inner = pollable(int(fd), file.Name()) }); err != nil {
		return nil, err
	}
	return made, inner
}

// connect opens the transport that the lease has chosen.
func (e *Executor) connect(ctx context.Context, c *connection) (err error) {
	const slots = fabric.DefaultSlots
	switch e.lease.transport.name {
	case fabric.Ring:
		ring, err := fabric.NewRing(slots, c.spin >= 0)
		if err != nil {
			return err
		}
		open := control.Open{Wire: fabric.WireVersion, Transport: fabric.Ring, Slots: slots}
		err = e.lease.link.call(ctx, control.TypeOpen, e.index, open, &control.Opened{},
			ring.Files.Memory, ring.Files.ExecutorDoorbell, ring.Files.ClientDoorbell)
		if err != nil {
			// It may have mapped the ring, but it has not been given a request, and without its
			// ring it is of no use.
			ring.Close()
			return err
		}
		c.client, c.closeClient = ring.Client, ring.Close
	case fabric.OFIWrite:
		if c.client, err = e.connectOFI(ctx, slots); err != nil {
			return err
		}
		c.closeClient = c.client.Close
	}
	c.inFlight = make([]*Future, slots)
	c.doorbell, err = pollable(c.client.Descriptor(), "doorbell")
	if err != nil {
		c.closeClient()
	}
	return err
}

// connectOFI meets the executor over libfabric. It proves itself with a nonce that only this
// lease's control connection has carried.
func (e *Executor) connectOFI(ctx context.Context, slots int) (*fabric.Client, error) {
	nonce := make([]byte, fabric.NonceSize)
	if _, err := rand.Read(nonce); err != nil {
		return nil, err
	}
	provider := e.lease.transport.provider
	open := control.Open{
		Wire: fabric.WireVersion, Transport: fabric.OFIWrite, Slots: slots,
		Provider: provider, Address: loopback, Nonce: nonce,
	}
	var opened control.Opened
	if err := e.lease.link.call(ctx, control.TypeOpen, e.index, open, &opened); err != nil {
		return nil, err
	}
	return fabric.ConnectOFI(fabric.OFIOptions{Provider: provider, Name: opened.Name, Nonce: nonce, Slots: slots})
}

// Invoke is Lease.Invoke on this executor.
func (e *Executor) Invoke(ctx context.Context, name string, in, out Payload, constants ...*Constant) *Future {
	fn, ok := e.lease.functions[name]
	if !ok {
		return failed(unknownFunction(name, e.lease.want.Library, e.lease.known))
	}
	if len(constants) > maxConstants {
		return failed(fmt.Errorf("offload: an invocation of %s names %d constants; at most %d", name, len(constants), maxConstants))
	}
	c := e.current.Load()
	if c == nil {
		return failed(e.whyNot())
	}
	f := &Future{connection: c, function: fn}
	f.request.Function = fn.index
	if in != nil {
		f.request.Input, f.lent[0] = in.payload()
	}
	if out != nil {
		f.request.Output, f.lent[1] = out.payload()
	}
	for i, constant := range constants {
		f.lent[2+i] = constant.block
		f.regions[i] = constant.block.region.id
	}
	f.request.Constants = f.regions[:len(constants)]
	if err := f.lend(); err != nil {
		return failed(err)
	}
	f.send(ctx)
	return f
}

// whyNot is why there is no process to send to.
func (e *Executor) whyNot() error {
	if e.lease.isReleased() {
		return errReleased
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.loss
}

// explain makes an error of a response that is not a success.
func (e *Executor) explain(f *Future, r *fabric.Response) error {
	name := f.function.name
	switch {
	case r.Status == fabric.StatusOK:
		return nil
	case r.Status > 0:
		return &FunctionError{Function: name, Executor: e.String(), Code: int(r.Status), Text: r.Text}
	case r.Status == fabric.StatusOutputTooSmall:
		return classify(ErrOutputTooSmall, "the output of function %s has %d bytes, the buffer given for it %d; pass a larger one", name, r.Size, f.request.Output.Size)
	}
	return fmt.Errorf("function %s on %s was not run: %s (status %d)", name, e, r.Text, r.Status)
}

// kill ends the process of a connection that is of no use, or that must stop: what follows is the
// same as if it had died by itself. It does not wait.
func (e *Executor) kill(c *connection, because error) {
	if !c.broken.CompareAndSwap(false, true) {
		return
	}
	c.brokenBy.Store(&because)
	kill := control.Kill{Executor: e.index, PID: c.pid}
	go func() {
		// If the manager can not be told it is gone, and its executors with it.
		_ = e.lease.link.conn.Send(control.TypeKill, 0, control.Manager, kill)
	}()
}

// obituaryPatience is how long the manager may take to say how a process ended.
const obituaryPatience = time.Second

// watch waits for the end of a connection's process, and ends what was in flight.
func (e *Executor) watch(c *connection, obituaries <-chan control.Ended, died context.CancelFunc) {
	defer e.lease.watching.Done()
	defer c.process.Close()
	defer died()
	if err := waitReadable(c.process); err != nil {
		return // Release has closed it, because the process did not end in time
	}
	died()
	loss := errReleased
	if !e.lease.isReleased() {
		// From here on Invoke must not find the process, but a reason.
		e.setLoss(c, &ExecutorLost{Executor: e.String(), Reason: "its process has just ended"})
		lost := e.autopsy(c, obituaries)
		e.lease.lose(lost)
		loss = lost
	}
	e.setLoss(c, loss)
	c.lose(loss)
}

// setLoss takes a connection out of use, unless it has been replaced.
func (e *Executor) setLoss(c *connection, loss error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if current := e.current.Load(); current == c || current == nil {
		e.loss = loss
		e.current.Store(nil)
	}
}

// autopsy finds out why a process ended that should not have.
func (e *Executor) autopsy(c *connection, obituaries <-chan control.Ended) *ExecutorLost {
	lost := &ExecutorLost{Executor: e.String()}
	select {
	case ended := <-obituaries:
		lost.Signal, lost.ExitCode = unix.Signal(ended.Signal), ended.ExitCode
		lost.Function, lost.ExitCalled = ended.Function, ended.ExitCalled
	case <-e.lease.link.closed:
		lost.Reason = "it went away together with its executor manager"
	case <-time.After(obituaryPatience):
		lost.Reason = "its process ended, and its executor manager does not say why"
	}
	if because := c.brokenBy.Load(); because != nil {
		lost.Reason = (*because).Error()
	}
	return lost
}

// obituary passes on how the present process ended. It does not wait.
func (e *Executor) obituary(ended control.Ended) {
	e.mu.Lock()
	defer e.mu.Unlock()
	select {
	case e.obituaries <- ended:
	default: // one per process; a second is no news
	}
}

// replace opens the way to a new process, whose pidfd it takes.
func (e *Executor) replace(info control.Executor, process *os.File) {
	ctx, cancel := context.WithTimeout(context.Background(), releasePatience)
	defer cancel()
	if err := e.open(ctx, info, process); err != nil {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.loss = &ExecutorLost{Executor: e.String(), Reason: fmt.Sprintf("its replacement can not be used: %v", err)}
	}
}

// forget makes the executor forget a region that is about to be freed.
func (e *Executor) forget(r *region) {
	c := e.current.Load()
	if c == nil || !c.regions.has(r.id) {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), releasePatience)
	defer cancel()
	c.dismiss(ctx, r)
}

// release waits for the end of the process, which has been killed.
func (e *Executor) release() error {
	c := e.current.Load()
	if c == nil {
		return nil
	}
	select {
	case <-c.gone:
		return nil
	case <-time.After(releasePatience):
		c.process.Close()
		return fmt.Errorf("offload: %s was told to end %v ago and has not; its memory is kept", e, releasePatience)
	}
}
