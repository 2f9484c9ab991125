package offload

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/sublet-hpc/sublet/internal/bytesize"
	"github.com/sublet-hpc/sublet/internal/control"
	"github.com/sublet-hpc/sublet/internal/fabric"
	"github.com/sublet-hpc/sublet/resources/api"
)

// Executor is one executor of a lease, identified by its index: when its process is lost, a
// replacement takes its place, and when its node is lost, one on another node.
//
//	coming ── met ──▶ ready ── its process ends ──▶ coming, or gone: no replacement is promised
//	  ▲                                                         │
//	  └────────── the lease is filled up again ─────────────────┘
type Executor struct {
	lease *Lease
	index int
	berth atomic.Pointer[berth] // nil until the first one is granted

	mu     sync.Mutex
	info   control.Executor
	path   Path
	loss   error // why current is nil; set before it is
	coming bool  // while current is nil: there will be a process soon, or loss says that there will not

	current atomic.Pointer[connection]
}

func newExecutor(l *Lease, index int) *Executor {
	return &Executor{lease: l, index: index, coming: true}
}

// welcome puts a process into use.
func (e *Executor) welcome(info control.Executor, c *connection) {
	e.mu.Lock()
	e.info, e.path = info, c.client.Path()
	e.current.Store(c)
	e.mu.Unlock()
	e.lease.changed.tell()
}

// lose takes the process out of use; coming says whether there will be another.
func (e *Executor) lose(loss error, coming bool) {
	e.mu.Lock()
	e.loss, e.coming = loss, coming
	e.current.Store(nil)
	e.mu.Unlock()
	e.lease.changed.tell()
}

// giveUp says that there will not be another process, and why, if that is known.
func (e *Executor) giveUp(reason string) {
	e.mu.Lock()
	e.loss, e.coming = unreplaced(e.loss, reason), false
	e.mu.Unlock()
	e.lease.changed.tell()
}

// setComing says whether there will be another process, for the same loss.
func (e *Executor) setComing(coming bool) {
	e.mu.Lock()
	e.coming = coming
	e.mu.Unlock()
	e.lease.changed.tell()
}

// isComing tells whether waiting for the executor makes sense.
func (e *Executor) isComing() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.coming
}

// Index within the lease, from 0.
func (e *Executor) Index() int { return e.index }

// Node is the name of the node that it is on.
func (e *Executor) Node() string { return e.berth.Load().site.node }

// Core that it is pinned to, of several the lowest, -1 for none.
func (e *Executor) Core() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.info.Core
}

// Cores that it is pinned to, ascending; none if it is pinned to none. See Want.CoresPerExecutor.
func (e *Executor) Cores() []int {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.info.Core == api.NoCore {
		return nil
	}
	return append([]int{e.info.Core}, e.info.More...)
}

// Oversubscribed tells whether it shares its core.
func (e *Executor) Oversubscribed() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.info.Oversubscribed
}

// Memory is how many bytes it may use; see Want.Memory.
func (e *Executor) Memory() int64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.info.Memory
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
func (e *Executor) Ready() bool { return e.usable() != nil }

func (e *Executor) String() string { return e.describe(e.Node()) }

func (e *Executor) describe(node string) string {
	return fmt.Sprintf("executor %d on %s", e.index, node)
}

// Invoke is Lease.Invoke on this executor, and on no other: what is lost with it is not run again.
func (e *Executor) Invoke(ctx context.Context, name string, in, out Payload, constants ...*Constant) Future {
	f := e.lease.prepare(name, in, out, constants)
	future := f.future()
	if f.hasEnded() {
		return future
	}
	f.ctx = ctx
	if c := e.usable(); c != nil {
		f.send(c)
	} else {
		f.end(0, e.whyNot())
	}
	return future
}

// whyNot is why there is no process to send to.
func (e *Executor) whyNot() error {
	if e.lease.alive.Err() != nil {
		return errReleased
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.loss
}

// explain makes an error of a response that is not a success.
func (e *Executor) explain(f *invocation, r *fabric.Response) error {
	name := f.function.name
	switch {
	case r.Status == fabric.StatusOK:
		return nil
	case r.Status > 0:
		text := r.Text
		if strings.HasPrefix(text, "std::bad_alloc") { // what C++ says when there is no memory
			text += fmt.Sprintf(" (limit %s; Want.Memory lifts it)", bytesize.Format(e.Memory()))
		}
		return &FunctionError{Function: name, Executor: e.String(), Code: int(r.Status), Text: text}
	case r.Status == fabric.StatusPayloadTooLarge:
		return classify(ErrPayloadTooLarge, "the input of function %s has %d bytes: %s; give it less, or define the function with SUBLET_FUNCTION", name, f.request.Input.Size, r.Text)
	case r.Status == fabric.StatusOutputTooSmall:
		return classify(ErrOutputTooSmall, "the output of function %s has %d bytes, the buffer given for it %d; pass a larger one", name, r.Size, f.request.Output.Size)
	}
	return fmt.Errorf("function %s on %s was not run: %s (status %d)", name, e, r.Text, r.Status)
}

// forget makes the executor forget a region that is about to be freed.
func (e *Executor) forget(r *region) error {
	c := e.current.Load()
	if c == nil {
		return nil
	}
	return c.dismiss(r)
}
