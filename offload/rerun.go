package offload

import (
	"cmp"
	"context"
	"errors"
	"sync"

	"github.com/sublet-hpc/sublet/internal/fabric"
)

// What is lost with an executor is run again on another one of the lease, if any may run it.
//
// An executor that was killed, or went away with its manager or node, is nobody's fault: that costs
// an invocation nothing. One that ended while it ran the invocation may have ended of it. That is
// tried once more, in a fresh process, and an input that ends two executors is poison, which is reported
// and not given to a third.

const (
	// maxCrashes is how many executors one invocation may end.
	maxCrashes = 2
	// maxReruns is how often an invocation is sent again, so that it ends even where executors do nothing
	// but die.
	maxReruns = 16
)

// lost is called, once for each sending, when the executor has gone away before it answered; ran
// says that it was running this invocation.
func (f *invocation) lost(loss error, ran bool) {
	var gone *ExecutorLost
	if !errors.As(loss, &gone) { // released
		f.end(0, loss)
		return
	}
	if ran && gone.isCrash() {
		f.crashes++
	}
	switch {
	case f.crashes >= maxCrashes:
		f.end(0, poison(f.function.name, gone))
	case !f.anywhere || f.lease.want.NotRepeatable || f.reruns >= maxReruns:
		f.end(0, loss)
	default:
		f.reruns++
		f.kept = true // who runs it again looks at it to the end
		blamed := f.connection.Load().berth.executor
		if f.crashes == 0 {
			blamed = nil
		}
		f.id, f.expired, f.try = 0, nil, false
		f.lease.rerun(f, loss, blamed)
	}
}

// rerun sees to an invocation until it has ended or its next executor is lost. blamed is the one that
// it has ended, or nil.
func (l *Lease) rerun(f *invocation, loss error, blamed *Executor) {
	l.mu.Lock()
	if l.over {
		l.mu.Unlock()
		f.end(0, errReleased)
		return
	}
	l.rerunning.Add(1)
	l.mu.Unlock()
	go func() {
		defer l.rerunning.Done()
		c, err := l.awaitReplacement(f.ctx, blamed)
		switch {
		case f.ctx.Err() != nil:
			f.end(0, f.overdue("when its executor had been lost"))
		case errors.Is(err, ErrClosed):
			f.end(0, err)
		case err != nil:
			reason := cmp.Or(f.connection.Load().berth.whyGivenUp(), l.whyUnfilled())
			f.end(0, unreplaced(loss, reason))
		default:
			f.send(c)
			_ = c.sleep(context.Background(), f) // somebody must file its response
		}
	}()
}

// choose picks the executor that has the least to do. If none is ready, coming tells whether waiting
// makes sense.
func (l *Lease) choose() (best *connection, coming bool) {
	best, coming = l.leastLoaded()
	if best == nil || int(best.load.Load()) < fabric.DefaultSlots {
		return best, coming
	}
	// All look full, but nobody may have looked what they have answered.
	for _, e := range l.executors {
		if c := e.current.Load(); c != nil {
			c.collect()
		}
	}
	return l.leastLoaded()
}

func (l *Lease) leastLoaded() (best *connection, coming bool) {
	if len(l.executors) == 1 {
		if best = l.executors[0].usable(); best == nil {
			coming = l.executors[0].isComing()
		}
		return best, coming
	}
	first := int(l.turn.Add(1) % uint32(len(l.executors)))
	for i := range l.executors {
		e := l.executors[(first+i)%len(l.executors)]
		c := e.usable()
		switch {
		case c == nil:
			coming = coming || e.isComing()
		case best == nil || c.load.Load() < best.load.Load():
			best = c
		}
	}
	return best, coming
}

// awaitExecutor chooses when there is something to choose. Errors are ctx's, ErrClosed, or the loss
// of the executors, when there is no hope for another.
func (l *Lease) awaitExecutor(ctx context.Context) (*connection, error) {
	for {
		changed := l.changed.next()
		c, coming := l.choose()
		switch {
		case l.alive.Err() != nil:
			return nil, errReleased
		case c != nil:
			return c, nil
		case !coming:
			return nil, l.executors[0].whyNot()
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-l.alive.Done():
		}
	}
}

// awaitReplacement chooses for an invocation that has ended an executor, blamed: that one's
// replacement, in whose process nobody has left anything behind that could be to blame; if there will be none, or
// blamed is nil, any other.
func (l *Lease) awaitReplacement(ctx context.Context, blamed *Executor) (*connection, error) {
	for blamed != nil {
		changed := l.changed.next()
		if c := blamed.usable(); c != nil {
			return c, nil
		}
		if !blamed.isComing() {
			break
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-l.alive.Done():
			return nil, errReleased
		}
	}
	return l.awaitExecutor(ctx)
}

// broadcast tells all who wait that something has changed.
type broadcast struct {
	mu      sync.Mutex
	waiting chan struct{} // nil: nobody waits
}

// next is closed at the next change.
func (b *broadcast) next() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.waiting == nil {
		b.waiting = make(chan struct{})
	}
	return b.waiting
}

func (b *broadcast) tell() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.waiting != nil {
		close(b.waiting)
		b.waiting = nil
	}
}
