package offload

import (
	"cmp"
	"context"
	"errors"
	"sync"
)

// An executor manager that is about to end, because it was told to or because its allocation ends, says so. Then
// nothing more is sent to its executors; what was sent is waited for, and only then they are given up, and as many asked for
// elsewhere (refill.go). So nothing is lost, and nothing run again. If that takes longer than the manager has, it ends,
// and what was in flight goes the way of all that is lost.

// drain is called when the manager says that it is about to end; it runs on the link's receiving goroutine.
func (s *site) drain(reason string) {
	s.link.drain(reason)
	s.mu.Lock()
	open := s.open
	s.drains = true
	s.mu.Unlock()
	if open { // else when the lease has it
		go s.empty()
	}
}

var errDrained = errors.New("its executors were given up, because it is about to end")

// empty has nothing more sent to the site's executors, and gives them up when all has been answered.
func (s *site) empty() {
	var all sync.WaitGroup
	for _, b := range s.berths {
		c := b.executor.current.Load()
		if c == nil || c.berth != b {
			continue // it is being replaced, or has a berth elsewhere
		}
		_, why := s.link.isLeft()
		b.executor.retire(c, &ExecutorLost{Executor: b.String(), Cause: LostDrained, Reason: drainedText(why)})
		all.Go(c.drain)
	}
	all.Wait()
	s.link.end(errDrained)
}

// drainedText says what happened to an executor whose manager ends, and why that does if it has said so.
func drainedText(why string) string {
	return "its executor manager ended: " + cmp.Or(why, "it was told to end")
}

// retire has the executor chosen no more; another will take its place.
func (e *Executor) retire(c *connection, loss error) {
	e.mu.Lock()
	if e.current.Load() == c {
		e.loss, e.coming = loss, true
	}
	c.drained.Store(&loss)
	e.mu.Unlock()
	e.lease.changed.tell()
}

// usable is the process that can be sent to; nil: there is none now.
func (e *Executor) usable() *connection {
	c := e.current.Load()
	if c == nil || c.drained.Load() != nil {
		return nil
	}
	return c
}

// drain returns when all that was sent has been answered, or is lost.
func (c *connection) drain() {
	c.lock() // who submits looks whether it may while it has this
	closed, last := c.closed, uint64(0)
	if !closed {
		last = c.client.Submitted()
	}
	c.mu.Unlock()
	if !closed {
		_ = c.awaitSlot(context.Background(), last) // without an end of the context there is no error
	}
}

// refuses tells whether nothing can be sent any more. mu is held.
func (c *connection) refuses() bool { return c.refusal() != nil }

// refusal is why nothing can be sent any more; nil: it can. mu is held.
func (c *connection) refusal() error {
	if c.closed {
		return *c.failure.Load()
	}
	if loss := c.drained.Load(); loss != nil {
		return *loss
	}
	return nil
}
