package offload

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

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
	loss       error // why current is nil

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
	c := &connection{
		executor: e, spin: e.lease.want.hot(), process: watched,
		gone: make(chan struct{}), resume: make(chan struct{}, 1),
	}
	if err := e.connect(ctx, c); err != nil {
		watched.Close()
		return fmt.Errorf("offload: reaching %s: %w", e, err)
	}
	obituaries := make(chan control.Ended, 1)
	e.mu.Lock()
	e.info, e.obituaries, e.path, e.loss = info, obituaries, c.client.Path(), nil
	e.mu.Unlock()
	e.current.Store(c)
	e.lease.watching.Add(1)
	go e.watch(c, obituaries)
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
	default:
		if err := e.connectOFI(ctx, c, slots); err != nil {
			return err
		}
	}
	c.inFlight = make([]*Future, slots)
	c.doorbell, err = pollable(c.client.Descriptor(), "doorbell")
	if err == nil {
		if err = c.probe(ctx); err != nil {
			c.doorbell.Close()
		}
	}
	if err != nil {
		c.closeClient()
	}
	return err
}

// connectOFI meets the executor over libfabric. It proves itself with a nonce that only this
// lease's control connection has carried.
func (e *Executor) connectOFI(ctx context.Context, c *connection, slots int) (err error) {
	nonce := make([]byte, fabric.NonceSize)
	if _, err := rand.Read(nonce); err != nil {
		return err
	}
	way := e.lease.transport
	open := control.Open{
		Wire: fabric.WireVersion, Transport: way.name, Slots: slots,
		Provider: way.provider, Address: loopback, Nonce: nonce,
	}
	options := fabric.OFIOptions{Transport: way.name, Provider: way.provider, Nonce: nonce, Slots: slots}
	closeBells := func() {}
	var files []*os.File
	if fabric.NeedsBells(way.provider) {
		if options.Bells, err = fabric.NewBells(slots); err != nil {
			return err
		}
		closeBells = options.Bells.Close
		shared := options.Bells.Files()
		files = []*os.File{shared.Memory, shared.ExecutorDoorbell, shared.ClientDoorbell}
	}
	var opened control.Opened
	if err = e.lease.link.call(ctx, control.TypeOpen, e.index, open, &opened, files...); err == nil {
		options.Name = opened.Name
		c.client, err = fabric.ConnectOFI(options)
	}
	if err != nil {
		closeBells()
		return err
	}
	c.closeClient = func() {
		c.client.Close()
		closeBells()
	}
	return nil
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
	request := fabric.Request{Function: fn.index}
	var regions [maxConstants]uint32
	var blocks [2 + maxConstants]*block
	if in != nil {
		request.Input, blocks[0] = in.payload()
	}
	if out != nil {
		request.Output, blocks[1] = out.payload()
	}
	for i, constant := range constants {
		blocks[2+i] = constant.block
		regions[i] = constant.block.region.id
	}
	request.Constants = regions[:len(constants)]
	f.capacity = request.Output.Size
	f.large = c.client.Path().Transport != fabric.Ring && max(request.Input.Size, request.Output.Size) > fabric.EagerSize
	for i, b := range blocks {
		f.lend(i, b)
		if b == nil || c.knows(b.region.id) {
			continue
		}
		if err := c.introduce(ctx, b.region); err != nil {
			f.end(0, err)
			return f
		}
	}
	if err := c.submit(ctx, f, &request); err != nil {
		f.end(0, err)
	}
	return f
}

func (e *Executor) whyNot() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.loss != nil {
		return e.loss
	}
	return errReleased
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
		return classify(ErrOutputTooSmall, "the output of function %s has %d bytes, the buffer given for it %d; pass a larger one", name, r.Size, f.capacity)
	}
	return fmt.Errorf("function %s on %s was not run: %s (status %d)", name, e, r.Text, r.Status)
}

// broken says that the connection is of no use although the process may live: it is killed, and
// what follows is the same as if it had died. It does not wait.
func (e *Executor) broken(c *connection, err error) {
	if !c.isBroken.CompareAndSwap(false, true) {
		return
	}
	c.brokenBy.Store(&err)
	e.mu.Lock()
	kill := control.Kill{Executor: e.index, PID: e.info.PID}
	e.mu.Unlock()
	go func() {
		// If the manager can not be told it is gone, and its executors with it.
		_ = e.lease.link.conn.Send(control.TypeKill, 0, control.Manager, kill)
	}()
}

// obituaryPatience is how long the manager may take to say how a process ended.
const obituaryPatience = time.Second

// watch waits for the end of a connection's process, and ends what was in flight.
func (e *Executor) watch(c *connection, obituaries <-chan control.Ended) {
	defer e.lease.watching.Done()
	defer c.process.Close()
	if err := waitReadable(c.process); err != nil {
		// Only Release closes the pidfd before the process has ended, when it gave up on it.
		return
	}
	e.current.CompareAndSwap(c, nil)
	e.lease.mu.Lock()
	released := e.lease.released
	e.lease.mu.Unlock()

	loss := errReleased
	if !released {
		e.lease.lost.Add(1)
		var ended *control.Ended
		select {
		case obituary := <-obituaries:
			ended = &obituary
		case <-e.lease.link.closed:
		case <-time.After(obituaryPatience):
		}
		lost := lostTo(e.String(), ended)
		if err := c.brokenBy.Load(); err != nil {
			lost.Reason = (*err).Error()
		}
		loss = lost
	}
	e.mu.Lock()
	e.loss = loss
	e.mu.Unlock()
	c.client.Abandon() // whoever waits in it for the executor's progress
	for _, f := range c.fail(loss) {
		f.end(0, loss)
	}
	close(c.gone)
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
	err := e.open(ctx, info, process)
	if err == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	var lost *ExecutorLost
	if !errors.As(e.loss, &lost) {
		e.loss = fmt.Errorf("offload: the replacement of %s can not be used: %w", e, err)
	}
}

// forget makes the executor forget a region that is about to be freed.
func (e *Executor) forget(r *region) {
	c := e.current.Load()
	if c == nil || !c.knows(r.id) {
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
