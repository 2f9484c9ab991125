package manager

import (
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sublet-hpc/sublet/internal/control"
	"github.com/sublet-hpc/sublet/resources/api"
)

const (
	// vainAttempts is how many replacements in a row may be of no use before the executor is given up.
	vainAttempts = 2
	// fruitlessLife is how long a replacement that runs no function must live to have been of use.
	fruitlessLife = 100 * time.Millisecond
	// silencePatience is how long a process may live without its control connection: it is exiting,
	// or a function has closed it.
	silencePatience = time.Second
)

// errGone answers requests to an executor whose process has ended.
var errGone = &control.Failed{Code: control.CodeStart, Text: "the executor's process has ended; it is being replaced, or it is lost"}

// executor is one executor of a lease, whatever process is it at the time.
type executor struct {
	lease *lease
	index int
	place api.Executor
	log   *slog.Logger

	mu      sync.Mutex
	current *instance // nil while there is none
}

func (e *executor) instance() *instance {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.current
}

func (e *executor) install(i *instance) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.current = i
}

func (e *executor) describe(i *instance) control.Executor {
	core, more := e.place.Core, e.place.More
	if e.lease.manager.capacity.all != nil {
		core, more = api.NoCore, nil // those are counted as lent
	}
	return control.Executor{Index: e.index, PID: i.process.PID, Core: core, More: more, Oversubscribed: e.place.Oversubscribed, Memory: e.place.Memory}
}

func (e *executor) pass(frame *control.Frame) error {
	i := e.instance()
	if i == nil || frame.Process != 0 && frame.Process != i.process.PID {
		return errGone
	}
	return i.pass(frame)
}

// watch sees to the executor until its lease ends or it is lost.
func (e *executor) watch() {
	vain := 0
	for i := e.instance(); i != nil; {
		e.accompany(i)
		e.install(nil)
		if e.lease.ctx.Err() != nil {
			i.end()
			return
		}
		if e.place.Replaced > 0 && i.fruitless() {
			vain++
		} else {
			vain = 0
		}
		i = e.succeed(i, &vain)
	}
}

// accompany passes on what the process says until it has exited. It is killed when the lease ends.
func (e *executor) accompany(i *instance) {
	relayed := make(chan struct{})
	var silence error
	go func() {
		defer close(relayed)
		silence = i.relay(e.index, e.lease.client.conn)
	}()
	defer i.bounded()()
	select {
	case <-i.process.Exited():
		<-relayed
		return
	case <-e.lease.ctx.Done():
	case <-relayed:
		timer := time.NewTimer(silencePatience)
		defer timer.Stop()
		select {
		case <-i.process.Exited():
		case <-e.lease.ctx.Done():
		case <-timer.C:
			e.log.Warn("an executor without a control connection is killed", "pid", i.process.PID, "error", silence)
			i.killedFor = fmt.Sprintf("its control connection was closed from within (%v), and it was killed; functions must not close descriptors that they have not opened", silence)
		}
	}
	i.process.Kill()
	<-i.process.Exited()
	<-relayed
}

// succeed tells the client how the process ended, and starts another in its place. Nil: the
// executor is lost, or the lease has ended.
func (e *executor) succeed(old *instance, vain *int) *instance {
	client := e.lease.client
	ended := old.epitaph(e.index)
	ended.Replacing = *vain < vainAttempts
	e.lease.manager.tally.death(ended)
	e.log.Info("an executor's process has ended", "pid", old.process.PID, "signal", ended.Signal, "exit_code", ended.ExitCode, "function", ended.Function, "out_of_memory", ended.OutOfMemory, "replacing", ended.Replacing)
	client.send(control.TypeEnded, 0, control.Manager, ended)
	for _, call := range old.abandon() {
		text := fmt.Sprintf("executor %d of lease %s %s before it answered", e.index, e.lease.record.ID, describeStatus(old.process.Status()))
		client.send(control.TypeFailed, call, e.index, &control.Failed{Code: control.CodeStart, Text: text})
	}
	old.end()
	for ; *vain < vainAttempts; *vain++ {
		fresh, err := e.lease.start(e.lease.ctx, e.index, e.place)
		if err == nil {
			err = e.agree(fresh, old)
		}
		if err == nil {
			e.replaced(fresh)
			return fresh
		}
		if e.lease.ctx.Err() != nil {
			return nil
		}
		e.log.Warn("an executor could not be replaced", "attempt", *vain+1, "error", err)
		ended.Unreplaced = err.Error()
	}
	e.lease.manager.tally.loss()
	e.lease.manager.capacity.lose(e.lease.record.ID, e.index)
	e.lease.meter.hold(ownMemory(api.Lease{Executors: e.lease.manager.capacity.lent(e.lease.record.ID)}), time.Now())
	if ended.Replacing {
		ended.Replacing = false
		client.send(control.TypeEnded, 0, control.Manager, ended)
	}
	e.log.Warn("an executor is lost: its replacements end at once", "library", e.lease.request.Library, "last_signal", unix.SignalName(unix.Signal(ended.Signal)))
	return nil
}

// agree ends a replacement whose functions are not those of its predecessor: the client names functions
// by their index, so that others would be called.
func (e *executor) agree(fresh, old *instance) error {
	if slices.Equal(fresh.functions, old.functions) {
		return nil
	}
	fresh.end()
	return &control.Failed{Code: control.CodeLibrary, Text: fmt.Sprintf("the function library %s has changed, and has other functions than when the lease began; take a new lease", e.lease.request.Library)}
}

func (e *executor) replaced(fresh *instance) {
	if err := e.lease.manager.capacity.replace(e.lease.record.ID, e.index); err != nil {
		e.log.Error("a replacement could not be noted", "error", err)
	}
	e.lease.manager.tally.replacement()
	e.place.Replaced++
	e.install(fresh)
	e.log.Info("an executor was replaced", "pid", fresh.process.PID)
	e.lease.client.send(control.TypeReplaced, 0, control.Manager, e.describe(fresh), fresh.process.Descriptor)
}
