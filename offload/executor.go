package offload

import (
	"context"
	"crypto/rand"
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
// A goroutine of its own leads it through its life (life.go).
type Executor struct {
	lease *Lease
	site  *site
	index int // within the lease
	place int // within the site

	// What the manager says of its processes, in order: each one's end, and then its replacement.
	obituaries   chan control.Ended
	replacements chan process

	mu   sync.Mutex
	info control.Executor
	path Path
	loss error // why current is nil; set before it is

	current atomic.Pointer[connection]
}

func newExecutor(s *site, index, place int) *Executor {
	return &Executor{
		lease: s.lease, site: s, index: index, place: place,
		obituaries: make(chan control.Ended, maxNews), replacements: make(chan process, maxNews),
	}
}

// Index within the lease, from 0.
func (e *Executor) Index() int { return e.index }

// Node is the name of the node that it is on.
func (e *Executor) Node() string { return e.site.node }

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

func (e *Executor) String() string { return fmt.Sprintf("executor %d on %s", e.index, e.site.node) }

func (e *Executor) load() int32 {
	if c := e.current.Load(); c != nil {
		return c.load.Load()
	}
	return 0
}

// connect opens the transport that was chosen for the site.
func (e *Executor) connect(ctx context.Context, c *connection) (err error) {
	const slots = fabric.DefaultSlots
	switch e.site.transport.name {
	case fabric.Ring:
		ring, err := fabric.NewRing(slots, c.spin >= 0)
		if err != nil {
			return err
		}
		open := control.Open{Wire: fabric.WireVersion, Transport: fabric.Ring, Slots: slots}
		err = e.site.link.call(ctx, control.TypeOpen, c.target(), open, &control.Opened{},
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
	if tamper := tampering.Load(); tamper != nil {
		(*tamper)(c.client)
	}
	c.doorbell, err = pollable(c.client.Descriptor(), "doorbell")
	if err != nil {
		c.closeClient()
		return err
	}
	if err = c.probe(ctx); err != nil {
		c.doorbell.Close()
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
	way := e.site.transport
	open := control.Open{
		Wire: fabric.WireVersion, Transport: way.name, Slots: slots,
		Provider: way.provider, Address: e.site.address, Nonce: nonce,
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
	if deadline, ok := ctx.Deadline(); ok {
		options.Timeout = max(time.Until(deadline), time.Millisecond)
	}
	if err = e.site.link.call(ctx, control.TypeOpen, c.target(), open, &opened, files...); err == nil {
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
	f.request.Function = fn.index
	if in != nil {
		f.request.Input, f.lent[0] = in.payload()
	}
	if out != nil {
		f.request.Output, f.lent[1] = out.payload()
	}
	for i, constant := range constants {
		if constant == nil {
			return failed(fmt.Errorf("offload: constant %d of an invocation of %s is nil", i, name))
		}
		f.lent[2+i] = constant.block
		f.regions[i] = constant.block.region.id
	}
	f.request.Constants = f.regions[:len(constants)]
	f.large = c.client.Path().Transport != fabric.Ring && max(f.request.Input.Size, f.request.Output.Size) > fabric.EagerSize
	if err := f.lend(); err != nil {
		return failed(err)
	}
	f.send(ctx)
	return f
}

// whyNot is why there is no process to send to.
func (e *Executor) whyNot() error {
	if e.site.released.Load() {
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
