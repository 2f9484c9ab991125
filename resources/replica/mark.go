package replica

import (
	"context"
	"fmt"
	"sync"
)

// Mark is behind all that was proposed until now.
func (r *Replica) Mark() Mark { return r.waiters.mark() }

// Mark is a place in the log.
type Mark struct{ waiter *waiter }

// Wait waits until all in front of the mark is durable. An error, ErrUnavailable or the context's, means that
// this is not known.
func (m Mark) Wait(ctx context.Context) error {
	select {
	case <-m.waiter.done:
		return m.waiter.err
	default:
	}
	select {
	case <-m.waiter.done:
		return m.waiter.err
	case <-ctx.Done():
		return fmt.Errorf("%w: %w before the disk had written what was asked", ErrUnavailable, ctx.Err())
	}
}

// waiter is a revision for whose durability somebody may wait.
type waiter struct {
	revision uint64
	done     chan struct{} // closed when err does not change any more
	err      error
}

func ended(err error) *waiter {
	w := &waiter{done: make(chan struct{}), err: err}
	close(w.done)
	return w
}

var durable = ended(nil)

// waiters are the revisions on their way to the disk. Their lock is held for moments only: raft's goroutines
// take it.
type waiters struct {
	ready chan struct{} // closed when commands are taken for the first time

	mu     sync.Mutex
	coming []*waiter // by revision
	err    error     // why no commands are taken; nil: they are
}

func newWaiters() *waiters { return &waiters{ready: make(chan struct{}), err: ErrUnavailable} }

// begin says that commands are taken, and that nothing is on its way.
func (w *waiters) begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.err = nil
	select {
	case <-w.ready:
	default:
		close(w.ready)
	}
}

// proposed says that a revision is on its way.
func (w *waiters) proposed(revision uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.coming = append(w.coming, &waiter{revision: revision, done: make(chan struct{})})
}

// reached says that a revision is durable, and all before it.
func (w *waiters) reached(revision uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.coming) > 0 && w.coming[0].revision <= revision {
		close(w.coming[0].done)
		w.coming[0] = nil // nobody else keeps it
		w.coming = w.coming[1:]
	}
}

// fail says that of nothing on its way it is known whether it will be durable, and that no commands are taken.
func (w *waiters) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.err = err
	for _, coming := range w.coming {
		coming.err = err
		close(coming.done)
	}
	w.coming = nil
}

func (w *waiters) mark() Mark {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.err != nil:
		return Mark{ended(w.err)}
	case len(w.coming) == 0:
		return Mark{durable}
	}
	return Mark{w.coming[len(w.coming)-1]}
}
