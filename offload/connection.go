package offload

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sublet-hpc/sublet/internal/fabric"
)

const (
	maxConstants = fabric.MaxConstants
	// spinSlice is how long one spin in C lasts before it comes back to look at contexts.
	spinSlice = 50 * time.Microsecond
	// aloneSlice is the same while there is one invocation in flight: over a network a round trip takes
	// longer than spinSlice. Whoever else wants the connection ends the spin.
	aloneSlice = 500 * time.Microsecond
)

// connection is the way to one executor process. A replacement is a new connection, with memory
// of its own, so that nothing that the old one still writes can matter.
//
//	open ── the executor exits, or is released ──▶ lost: its futures end, its memory is freed
//	  │                                             ▲
//	  └── it breaks the protocol, or runs past ─────┘
//	      a deadline: it is killed
//
// Whoever waits takes mu, polls, and files what came for everybody; the others look at their own
// future meanwhile. While somebody sleeps, or a large payload is on its way over a network that
// moves nothing by itself, and nobody spins, the driver does it (driver.go). Every way in which the executor can fail ends in lose, which ends all futures
// with one and the same *ExecutorLost (or ErrClosed after a release).
type connection struct {
	berth *berth
	pid   int
	spin  time.Duration
	alive context.Context // ends with the executor, by died
	died  context.CancelFunc

	mu          sync.Mutex
	client      *fabric.Client
	closeClient func()
	inFlight    []*invocation     // by id mod slots
	next        *invocation       // of Call; nobody else knows it
	streamed    []*invocation     // of CallAll; nobody else knows them
	requests    []*fabric.Request // theirs
	orphans     []*invocation     // could not be sent, and end with the executor
	closed      bool
	driving     bool // the driver exists
	sleepers    int
	watched     bool // somebody looks for stalls
	large       int  // invocations in flight whose payloads want to be moved
	doorbell    *os.File
	process     *os.File // pidfd of the executor

	spinners atomic.Int32  // goroutines that poll
	resume   chan struct{} // has room for one; tells the driver that they have stopped

	regions knownRegions
	rings   bool // its transport is the ring

	broken   atomic.Bool
	brokenBy atomic.Pointer[error]
	gone     chan struct{} // closed when the futures in flight have ended

	// drained is why nothing more is to be sent although what was is answered; nil: its manager stays.
	drained atomic.Pointer[error]
	// failure is why nothing can be sent any more; it is set before futures are ended.
	failure atomic.Pointer[error]
	// moving is how many bytes are being sent by somebody who holds mu for it.
	moving atomic.Int64
	// load is the number of invocations in flight, for choosing an executor.
	load atomic.Int32
}

// target is the process, for requests to it.
func (c *connection) target() target { return target{c.berth.place, c.pid} }

// lock takes mu; a waiter that spins in C gives way.
func (c *connection) lock() {
	if c.mu.TryLock() {
		return
	}
	c.client.Want()
	c.mu.Lock()
	c.client.Unwant()
}

// submit sends a future's request, whose regions the executor knows. While all slots are in use
// it waits for the oldest, until the future's context ends. An error is the caller's; if the executor
// has failed, the future is lost, or an orphan that is lost with it.
func (c *connection) submit(f *invocation) (sent bool, _ error) {
	for {
		c.lock()
		if refused := c.refusal(); refused != nil {
			c.mu.Unlock()
			f.lost(refused, false)
			return false, nil
		}
		c.watchStalls()
		if f.large {
			c.moving.Store(int64(f.request.Input.Size))
		}
		id, err := c.client.Submit(&f.request)
		if f.large {
			c.moving.Store(0)
		}
		if err == nil {
			f.id = id
			c.inFlight[c.slot(id)] = f
			c.load.Add(1)
			if f.large {
				c.large++
				c.startDriver()
			}
			c.mu.Unlock()
			return true, nil
		}
		if !errors.Is(err, fabric.ErrFull) {
			c.orphans = append(c.orphans, f)
			c.mu.Unlock()
			c.kill(err)
			return false, nil
		}
		harvested := c.client.Harvested()
		if c.harvest(harvested+1, 0) && c.client.Harvested() > harvested { // nobody was waiting for it
			c.mu.Unlock()
			continue
		}
		c.mu.Unlock()
		if f.try {
			return false, f.lease.busy()
		}
		if c.awaitSlot(f.ctx, harvested+1) != nil {
			return false, f.overdue("while all slots of its executor were in use")
		}
	}
}

// lastWords is how long an executor whose connection has broken may take to end by itself, so that
// its end says why.
const lastWords = 50 * time.Millisecond

// kill ends an executor that is of no use, or that must stop: what follows is the same as if it
// had died by itself. It does not wait.
func (c *connection) kill(because error) {
	if !c.broken.CompareAndSwap(false, true) {
		return
	}
	c.brokenBy.Store(&because)
	if !errors.Is(because, fabric.ErrBroken) {
		c.berth.kill(c.pid)
		go c.insist()
		return
	}
	go func() {
		if c.pause(lastWords) {
			c.berth.kill(c.pid)
			c.insist()
		}
	}()
}

func (c *connection) slot(id uint64) uint64 { return id % uint64(len(c.inFlight)) }

// orphan has a future that could not be sent end with the executor, which is killed.
func (c *connection) orphan(f *invocation, because error) {
	c.lock()
	closed := c.closed
	if !closed {
		c.orphans = append(c.orphans, f)
	}
	c.mu.Unlock()
	if closed {
		f.lost(*c.failure.Load(), false)
		return
	}
	c.kill(because)
}

// harvest spins for the response to an invocation and files all that came. mu is held. If the
// connection turns out to be of no use, the executor is killed, and everything ends with that.
func (c *connection) harvest(until uint64, budget time.Duration) (ok bool) {
	responses, err := c.client.Harvest(until, budget)
	return c.file(responses, err)
}

// file ends the futures whose responses came, and what is of no use. mu is held.
func (c *connection) file(responses []fabric.Response, err error) (ok bool) {
	c.endAnswered(responses)
	if err != nil {
		c.kill(err)
		return false
	}
	if len(responses) > 0 {
		c.endExpired()
	}
	return true
}

// endAnswered ends what responses came for. mu is held.
func (c *connection) endAnswered(responses []fabric.Response) {
	for i := range responses {
		response := &responses[i]
		f := c.inFlight[c.slot(response.ID)]
		c.inFlight[c.slot(response.ID)] = nil
		c.load.Add(-1)
		if f.large {
			c.large--
		}
		f.inCall = response.InCall
		f.end(response.Size, c.berth.executor.explain(f, response))
	}
}

// collect files what has come, unless somebody else is about to.
func (c *connection) collect() {
	if !c.mu.TryLock() {
		return
	}
	defer c.mu.Unlock()
	if !c.closed {
		c.harvest(c.client.Submitted(), 0)
	}
}

// expire is called when the context of an invocation has ended. If the invocation runs, its
// executor is killed: nothing less stops a function. If it waits behind others, they go on first.
func (c *connection) expire(f *invocation) {
	c.lock()
	defer c.mu.Unlock()
	if c.closed || f.hasEnded() || f.id == 0 {
		return
	}
	f.expired = context.Cause(f.ctx)
	c.harvest(f.id, 0)
	c.endExpired()
	if !f.hasEnded() && !c.broken.Load() {
		f.kept = true
		go func() { _ = c.sleep(context.Background(), f) }() // somebody must notice when its turn comes
	}
}

// endExpired kills the executor if what it runs now should have ended. mu is held.
func (c *connection) endExpired() {
	if c.client.Harvested() == c.client.Submitted() {
		return
	}
	if running := c.inFlight[c.slot(c.client.Harvested()+1)]; running.expired != nil {
		c.kill(fmt.Errorf("it was ended because %s ran until its context ended: %w", running.function.name, running.expired))
	}
}

// lose takes the connection out of use, when the executor has exited: what it answered before is
// filed, and everything else ends with loss.
func (c *connection) lose(loss error) {
	c.client.Abandon() // whoever waits in it for the executor
	c.lock()
	c.failure.Store(&loss)
	c.harvest(c.client.Submitted(), 0)
	c.closed = true
	next := c.client.Harvested() + 1 // the oldest that was not answered, which may have run
	c.closeClient()
	c.doorbell.Close()
	c.wakeDriver()
	unanswered := c.orphans
	c.orphans = nil
	for i, f := range c.inFlight {
		if f != nil {
			unanswered = append(unanswered, f)
			c.inFlight[i] = nil
		}
	}
	c.mu.Unlock()
	for _, f := range unanswered {
		if f.expired != nil {
			f.end(0, f.overdue("while it ran, and it was ended with "+c.berth.String()))
			continue
		}
		var gone *ExecutorLost
		ran := f.id == next && errors.As(loss, &gone) && gone.Function == f.function.name
		f.lost(loss, ran)
	}
	close(c.gone)
	c.regions.await() // they use the session's memory, which may be freed next
}
