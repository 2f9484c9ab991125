package offload

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sublet-hpc/sublet/internal/control"
	"github.com/sublet-hpc/sublet/internal/fabric"
	"github.com/sublet-hpc/sublet/internal/pollable"
)

// The life of an executor at a berth, led by one goroutine from the granting of the lease to its end:
//
//	opening ── met ──▶ ready ── its process ends ──▶ lost ── replaced ──▶ opening
//	   │ failed          │                             │
//	   ▼                 │ Lease.Release               │ given up by the manager, the manager is
//	killed, lost         ▼                             ▼ gone, or released
//	                   ended                         ended
//
// Where the manager is gone, and the lease is not over, the executor gets a new berth (refill.go).

const (
	// obituaryPatience is how long the manager may take to say how a process ended.
	obituaryPatience = time.Second
	// openPatience is how long a process may take to be met.
	openPatience = 10 * time.Second
)

// live leads the executor through its life. Whether its first process, or that one's replacement,
// could be met goes to met.
func (b *berth) live(ctx context.Context, p process, met chan<- error) {
	defer b.site.leave()
	told := false
	tell := func(err error) {
		if !told {
			told = true
			met <- err
		}
	}
	for {
		var replaced bool
		c, err := b.open(ctx, p)
		if err == nil {
			tell(nil)
			replaced = b.watch(c)
		} else {
			if !errors.Is(err, errDied) {
				tell(err)
				b.kill(p.info.PID) // nobody could use it
			}
			var lost *ExecutorLost
			lost, replaced = b.autopsy(nil, err)
			b.executor.lose(lost, replaced || b.site.link.isClosed())
		}
		if !replaced {
			tell(err)
		}
		if p, replaced = b.successor(replaced); !replaced {
			if !b.site.link.isClosed() { // else the lease asks for others
				b.executor.giveUp(b.whyGivenUp())
			}
			tell(err)
			return
		}
		if told {
			ctx = context.Background() // that of Session.Lease has done its work
		}
	}
}

// successor waits for the replacement that the manager has promised. If it has said nothing, because it
// was stopped or had too much to do, it may still say something; nobody waits for that.
func (b *berth) successor(promised bool) (process, bool) {
	select {
	case p := <-b.replacements:
		if !promised {
			b.skipObituary()
		}
		return p, true
	case <-b.givenUp:
	case <-b.site.link.closed:
	}
	select { // one may have come before
	case p := <-b.replacements:
		return p, true
	default:
		return process{}, false
	}
}

// errDied marks the failure to meet a process that has died meanwhile: its replacement may do.
var errDied = errors.New("its process ended before it could be reached")

// open makes the way to a process, whose pidfd it takes.
func (b *berth) open(ctx context.Context, p process) (*connection, error) {
	ctx, cancel := context.WithTimeout(ctx, openPatience)
	defer cancel()
	var watched *os.File
	if p.pidfd != nil {
		var err error
		if watched, err = pollable.FromFile(p.pidfd); err != nil {
			return nil, err
		}
	}
	alive, died := context.WithCancel(context.Background())
	c := &connection{
		berth: b, pid: p.info.PID, spin: b.site.lease.want.hot(), process: watched, alive: alive, died: died,
		gone: make(chan struct{}), resume: make(chan struct{}, 1),
	}
	if err := b.connect(ctx, c); err != nil {
		died()
		if b.hasDied(watched) {
			err = errors.Join(errDied, err)
		}
		watched.Close() // nothing if there is none
		return nil, fmt.Errorf("offload: reaching %s: %w", b, err)
	}
	b.executor.welcome(p.info, c)
	return c, nil
}

// hasDied tells whether a process has ended, by its pidfd, or by its obituary if it is on another host.
func (b *berth) hasDied(pidfd *os.File) bool {
	if pidfd == nil {
		return len(b.obituaries) > 0
	}
	exited, err := pollable.Readable(pidfd)
	return err == nil && exited
}

// awaitEnd waits for the end of a connection's process, which its pidfd tells. One on another host
// has ended when its manager says so, or when the manager itself is gone or silent: then it may live
// on, but nothing of it reaches us once our end of the connection is closed, which follows.
func (b *berth) awaitEnd(c *connection) *control.Ended {
	if c.process == nil {
		select {
		case ended := <-b.obituaries:
			return &ended
		case <-b.site.link.closed:
		}
	} else if err := pollable.Wait(c.process); err != nil {
		b.kill(c.pid) // it can not be watched, so it is of no use
	}
	return nil
}

// watch waits for the end of a connection's process and ends what was in flight, or has it run
// elsewhere. It tells whether there will be a replacement.
func (b *berth) watch(c *connection) (replaced bool) {
	defer c.process.Close()
	ended := b.awaitEnd(c)
	c.died()
	// From here on Invoke must not find the process, but a reason.
	b.executor.lose(&ExecutorLost{Executor: b.String(), Cause: LostManager, Reason: "its process has just ended"}, true)
	if b.site.isReleased() {
		b.executor.lose(b.site.whyReleased(), false)
		c.lose(b.site.whyReleased())
		return false
	}
	var because error
	if broken := c.brokenBy.Load(); broken != nil {
		because = *broken
	}
	lost, replaced := b.autopsy(ended, because)
	b.executor.lose(lost, replaced || b.site.link.isClosed())
	c.lose(lost)
	return replaced
}

// autopsy finds out why a process ended that should not have, and whether it will be replaced.
// ended is its obituary if it has come, because what we had against it, or nil.
func (b *berth) autopsy(ended *control.Ended, because error) (_ *ExecutorLost, replaced bool) {
	lost := &ExecutorLost{Executor: b.String(), Cause: LostManager}
	if ended == nil {
		select {
		case obituary := <-b.obituaries:
			ended = &obituary
		case <-b.site.link.closed:
			lost.Reason = "it went away together with its executor manager"
			if over := b.site.overBy(); over != "" {
				lost.Cause, lost.Reason = LostTimeLimit, overText(over)
			} else if silence := b.site.link.silence(); silence != nil {
				lost.Cause, lost.Reason = LostNode, silence.Error()
			} else if is, why := b.site.link.isLeft(); is {
				lost.Cause, lost.Reason = LostDrained, drainedText(why)
			}
		case <-time.After(obituaryPatience):
			lost.Reason = "its process ended, and its executor manager does not say why"
		}
	}
	if ended != nil {
		lost.Cause = LostExit
		if ended.Signal != 0 {
			lost.Cause = LostSignal
		}
		if ended.OutOfMemory {
			lost.Cause = LostMemory
		}
		lost.Signal, lost.ExitCode = unix.Signal(ended.Signal), ended.ExitCode
		lost.Function, lost.ExitCalled = ended.Function, ended.ExitCalled
		lost.Memory = b.executor.Memory()
		replaced = ended.Replacing
	}
	switch {
	case ended != nil && ended.Reason != "":
		lost.Cause, lost.Reason = LostStopped, ended.Reason
	case because == nil:
	case !errors.Is(because, fabric.ErrBroken):
		lost.Cause, lost.Reason = LostStopped, because.Error()
	case lost.Signal == unix.SIGKILL: // by us, or by somebody before; otherwise its end broke the connection
		lost.Reason = fmt.Sprintf("ended by signal 9 (SIGKILL); its connection broke as well (%v)", because)
	}
	b.site.lease.mourn(lost)
	return lost, replaced
}
