package offload

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sublet-hpc/sublet/internal/control"
)

// The life of an executor, led by one goroutine from the granting of the lease to its end:
//
//	opening ── met ──▶ ready ── its process ends ──▶ lost ── replaced ──▶ opening
//	   │ failed          │                             │
//	   ▼                 │ Lease.Release               │ given up by the manager, or released
//	killed, lost         ▼                             ▼
//	                   ended                         ended

// process is one process of an executor.
type process struct {
	info  control.Executor
	pidfd *os.File // nil on another host
}

const (
	// maxNews is how much of what the manager says may wait to be looked at. A manager gives up
	// on an executor long before.
	maxNews = 16
	// obituaryPatience is how long the manager may take to say how a process ended.
	obituaryPatience = time.Second
	// openPatience is how long a process may take to be met.
	openPatience = 10 * time.Second
)

// live leads the executor through its life. Whether its first process, or that one's replacement,
// could be met goes to met.
func (e *Executor) live(ctx context.Context, p process, met chan<- error) {
	defer e.lease.living.Done()
	told := false
	tell := func(err error) {
		if !told {
			told = true
			met <- err
		}
	}
	for {
		var replaced bool
		c, err := e.open(ctx, p)
		if err == nil {
			tell(nil)
			replaced = e.watch(c)
		} else {
			if !errors.Is(err, errDied) {
				tell(err)
				e.kill(p.info.PID) // nobody could use it
			}
			var loss error
			loss, replaced = e.autopsy(nil, err)
			e.setLoss(loss)
		}
		if p, replaced = e.successor(replaced); !replaced {
			tell(err)
			return
		}
		if told {
			ctx = context.Background() // that of Session.Lease has done its work
		}
	}
}

// successor waits for the replacement that the manager has promised.
func (e *Executor) successor(promised bool) (process, bool) {
	if !promised {
		return process{}, false
	}
	select {
	case p := <-e.replacements:
		return p, true
	case <-e.site.link.closed:
		return process{}, false
	}
}

// errDied marks the failure to meet a process that has died meanwhile: its replacement may do.
var errDied = errors.New("its process ended before it could be reached")

// open makes the way to a process, whose pidfd it takes.
func (e *Executor) open(ctx context.Context, p process) (*connection, error) {
	ctx, cancel := context.WithTimeout(ctx, openPatience)
	defer cancel()
	var watched *os.File
	if p.pidfd != nil {
		var err error
		if watched, err = pollableFile(p.pidfd); err != nil {
			return nil, err
		}
	}
	alive, died := context.WithCancel(context.Background())
	c := &connection{
		executor: e, pid: p.info.PID, spin: e.lease.want.hot(), process: watched, alive: alive, died: died,
		gone: make(chan struct{}), resume: make(chan struct{}, 1),
	}
	if err := e.connect(ctx, c); err != nil {
		died()
		if e.hasDied(watched) {
			err = errors.Join(errDied, err)
		}
		watched.Close() // nothing if there is none
		return nil, fmt.Errorf("offload: reaching %s: %w", e, err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.info, e.path = p.info, c.client.Path()
	e.current.Store(c)
	return c, nil
}

// hasDied tells whether a process has ended, by its pidfd, or by its obituary if it is on another host.
func (e *Executor) hasDied(pidfd *os.File) bool {
	if pidfd == nil {
		return len(e.obituaries) > 0
	}
	exited, err := isReadableFile(pidfd)
	return err == nil && exited
}

// awaitEnd waits for the end of a connection's process, which its pidfd tells. One on another host
// has ended when its manager says so, or when the manager itself is gone or silent: then it may live
// on, but nothing of it reaches us once our end of the connection is closed, which follows.
func (e *Executor) awaitEnd(c *connection) *control.Ended {
	if c.process == nil {
		select {
		case ended := <-e.obituaries:
			return &ended
		case <-e.site.link.closed:
		}
	} else if err := waitReadable(c.process); err != nil {
		e.kill(c.pid) // it can not be watched, so it is of no use
	}
	return nil
}

// watch waits for the end of a connection's process and ends what was in flight. It tells whether
// there will be a replacement.
func (e *Executor) watch(c *connection) (replaced bool) {
	defer c.process.Close()
	ended := e.awaitEnd(c)
	c.died()
	loss := errReleased
	if !e.site.released.Load() {
		// From here on Invoke must not find the process, but a reason.
		e.setLoss(&ExecutorLost{Executor: e.String(), Reason: "its process has just ended"})
		var because error
		if broken := c.brokenBy.Load(); broken != nil {
			because = *broken
		}
		loss, replaced = e.autopsy(ended, because)
	}
	e.setLoss(loss)
	c.lose(loss)
	return replaced
}

// setLoss takes the executor's connection out of use.
func (e *Executor) setLoss(loss error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.loss = loss
	e.current.Store(nil)
}

// autopsy finds out why a process ended that should not have, and whether it will be replaced.
// ended is its obituary if it has come, because what we had against it, or nil.
func (e *Executor) autopsy(ended *control.Ended, because error) (_ *ExecutorLost, replaced bool) {
	lost := &ExecutorLost{Executor: e.String()}
	if ended == nil {
		select {
		case obituary := <-e.obituaries:
			ended = &obituary
		case <-e.site.link.closed:
			lost.Reason = "it went away together with its executor manager"
			if silence := e.site.link.silence(); silence != nil {
				lost.Reason = silence.Error()
			}
		case <-time.After(obituaryPatience):
			lost.Reason = "its process ended, and its executor manager does not say why"
		}
	}
	if ended != nil {
		lost.Signal, lost.ExitCode = unix.Signal(ended.Signal), ended.ExitCode
		lost.Function, lost.ExitCalled = ended.Function, ended.ExitCalled
		lost.OutOfMemory, lost.Memory = ended.OutOfMemory, e.Memory()
		replaced = ended.Replacing
	}
	if because != nil {
		lost.Reason = because.Error()
	}
	e.lease.lose(lost)
	return lost, replaced
}

// kill has the manager end a process and replace it. It does not wait; if the manager is gone, so
// are its executors.
func (e *Executor) kill(pid int) {
	go func() {
		_ = e.site.link.conn.Send(control.TypeKill, 0, control.Manager, control.Kill{Executor: e.place, PID: pid})
	}()
}

// dropNews closes what came after the end.
func (e *Executor) dropNews() {
	for {
		select {
		case p := <-e.replacements:
			p.pidfd.Close()
		default:
			return
		}
	}
}

// forget makes the executor forget a region that is about to be freed.
func (e *Executor) forget(r *region) error {
	c := e.current.Load()
	if c == nil {
		return nil
	}
	return c.dismiss(r)
}
