package manager

import (
	"context"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/sublet-hpc/sublet/internal/control"
	"github.com/sublet-hpc/sublet/resources/api"
)

const (
	// DefaultPool is the size of a pool where nobody says: a spare for each core, at most maxDefaultPool.
	DefaultPool    = -1
	maxDefaultPool = 4
	// MaxPool is the largest that a pool can be.
	MaxPool = 1024
	// deathPause is how long to wait, when a spare has ended of itself, before there is another; twice as
	// long each time that another is of no use either, up to maxDeathPause.
	deathPause    = time.Second
	maxDeathPause = time.Minute
)

// pool keeps spares: executors that have started and belong to no lease yet. A lease that finds some is
// granted without waiting for processes to start. A spare serves one lease, and ends with it as any other
// executor does.
//
//	starting ── it says that it is ready ──▶ ready ── a lease takes it ──▶ the lease's
//	   │                                      │
//	   └────────── its process ends ──────────┴──▶ another is started, after a pause
//
// Each is started on a free core, for an executor of that core and no other: a process that is moved to another core after it
// has run is at times not scheduled there for seconds (RATIONALE.md). There are no more of them than cores
// are free: no lease could use others, and to start them would disturb those who compute. For the same reason
// they start one after the other, and not while a lease is being granted.
type pool struct {
	manager *Manager
	size    int
	kicked  chan struct{} // has room for one: there may be something to do

	mu       sync.Mutex
	spares   []*spare      // the oldest first
	granting int           // leases that are
	network  bool          // spares load libfabric
	idle     bool          // no leases come: the node drains
	resting  time.Time     // until when no spare is started
	vain     int           // spares in a row that have not become ready
	changed  chan struct{} // closed, and made anew, with each change

	work sync.WaitGroup
}

func newPool(m *Manager, size int) *pool {
	if size == DefaultPool {
		size = min(len(m.node.Cores), maxDefaultPool)
	}
	// Leases of a resource manager, or by an executors database, are those of other hosts as well, which reach executors over libfabric.
	p := &pool{manager: m, size: size, network: m.tickets != nil || m.direct != nil, kicked: make(chan struct{}, 1), changed: make(chan struct{})}
	p.kick()
	if size > 0 {
		p.work.Go(p.run)
	}
	return p
}

// kick has the pool look whether there is something to do.
func (p *pool) kick() {
	select {
	case p.kicked <- struct{}{}:
	default:
	}
}

// change says that something is different. mu is held.
func (p *pool) change() {
	close(p.changed)
	p.changed = make(chan struct{})
	p.kick()
}

// run fills the pool until the manager ends.
func (p *pool) run() {
	defer p.discard(func(*spare) bool { return true })
	for {
		s, pause := p.begin()
		if s != nil {
			p.settle(s)
			continue
		}
		var rested <-chan time.Time
		if pause > 0 {
			rested = time.After(pause)
		}
		select {
		case <-p.kicked:
		case <-rested:
		case <-p.manager.ctx.Done():
			return
		}
	}
}

// discard takes spares out of the pool and ends them. It returns how many there were.
func (p *pool) discard(which func(*spare) bool) int {
	var old []*spare
	p.mu.Lock()
	p.spares = slices.DeleteFunc(p.spares, func(s *spare) bool {
		if which(s) {
			close(s.taken)
			old = append(old, s)
			return true
		}
		return false
	})
	if len(old) > 0 {
		p.change()
	}
	p.mu.Unlock()
	for _, s := range old {
		s.end()
	}
	return len(old)
}

// begin starts a spare, if one is wanted; else it says how long not to look again, 0 for as long as
// nothing changes.
func (p *pool) begin() (*spare, time.Duration) {
	p.mu.Lock()
	granting, network, idle := p.granting > 0, p.network, p.idle
	p.mu.Unlock()
	if idle {
		p.discard(func(*spare) bool { return true })
		return nil, 0
	}
	if granting || p.manager.ctx.Err() != nil {
		return nil, 0
	}
	if network {
		p.discard(func(s *spare) bool { return !s.network })
	}
	free := p.manager.capacity.freeCPUs()
	p.discard(func(s *spare) bool { return !slices.ContainsFunc(free, s.isOn) })
	p.mu.Lock()
	taken := func(cpus []int) bool {
		return slices.ContainsFunc(p.spares, func(s *spare) bool { return s.isOn(cpus) })
	}
	core := slices.IndexFunc(free, func(cpus []int) bool { return !taken(cpus) })
	missing, pause := min(p.size, len(free))-len(p.spares), time.Until(p.resting)
	p.mu.Unlock()
	switch {
	case missing <= 0 || core < 0:
		return nil, 0
	case pause > 0:
		return nil, pause
	}
	s, err := p.start(free[core], network)
	if err != nil {
		return nil, p.rest("a spare executor could not be started", "error", err)
	}
	p.mu.Lock()
	p.spares = append(p.spares, s)
	p.mu.Unlock()
	return s, 0
}

// rest has no spare started for a while, because the last one was of no use, and says why the first time.
func (p *pool) rest(why string, details ...any) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	level := slog.LevelDebug
	if p.vain == 0 {
		level = slog.LevelWarn
	}
	p.manager.log.Log(p.manager.ctx, level, why, details...)
	pause := min(deathPause<<min(p.vain, 10), maxDeathPause)
	p.vain++
	p.resting = time.Now().Add(pause)
	p.kick()
	return pause
}

func (p *pool) start(cpus []int, network bool) (*spare, error) {
	program, err := p.manager.executorProgram()
	if err != nil {
		return nil, err
	}
	file, err := identify(program)
	if err != nil {
		return nil, err
	}
	args := []string{"sublet-executor", "--spare"}
	if network {
		args = append(args, "--libfabric")
	}
	i, err := p.manager.spawn(&Command{Path: program, Args: args, Env: environment(os.Environ(), nil, 1), CPUs: cpus, Output: os.Stderr})
	if err != nil {
		return nil, err
	}
	i.spare = true
	return &spare{instance: i, program: file, cpus: cpus, network: network, settled: make(chan struct{}), taken: make(chan struct{})}, nil
}

// settle waits until a spare is ready. Its process is watched from then on.
func (p *pool) settle(s *spare) {
	ctx, cancel := context.WithTimeout(p.manager.ctx, startPatience)
	stop := context.AfterFunc(ctx, s.process.Kill)
	s.failure = s.awaitReady()
	stop()
	cancel()
	p.mu.Lock()
	if s.failure == nil {
		s.ready, p.vain = true, 0
		p.manager.log.Debug("a spare executor is ready", "pid", s.process.PID)
	}
	p.change()
	p.mu.Unlock()
	close(s.settled)
	p.work.Go(func() {
		if s.failure == nil {
			select {
			case <-s.taken:
				return
			case <-s.process.Exited():
			}
		}
		if p.discard(func(other *spare) bool { return other == s }) == 0 {
			return // a lease's, or the pool ends
		}
		if p.manager.ctx.Err() == nil {
			p.rest("a spare executor has ended", "pid", s.process.PID, "how", describeStatus(s.process.Status()), "error", s.failure)
		}
	})
}

// take gives a spare to a lease; nil: there is none that fits, and none at all for executors of several cores.
// One that is about to be ready is waited for, as another would have to be.
func (p *pool) take(ctx context.Context, l *lease, place api.Executor) *instance {
	if p.size == 0 || place.CoreCount() > 1 || !fits(l.request.Environment) {
		return nil
	}
	file, err := identify(l.program)
	if err != nil {
		return nil // starting one will say so
	}
	p.discard(func(s *spare) bool { return s.program != file }) // somebody has built another version
	s := p.pick(l.manager.cpusOf(place), l.request.Libfabric)
	if s == nil {
		return nil
	}
	select {
	case <-s.settled:
		if s.failure == nil {
			return s.instance
		}
	case <-ctx.Done():
		s.process.Kill()
		<-s.settled
	}
	s.end()
	return nil
}

// pick takes out the best of those on a core: one that is ready, one that has libfabric if that is wanted.
// One that loads libfabric is not ready soon.
func (p *pool) pick(cpus []int, network bool) *spare {
	p.mu.Lock()
	defer p.mu.Unlock()
	best, rank := -1, -1
	for i, s := range p.spares {
		if !s.isOn(cpus) {
			continue
		}
		value := 0
		if s.ready {
			value += 2
		} else if s.network && !network {
			continue
		}
		if s.network == network {
			value++
		}
		if value > rank {
			best, rank = i, value
		}
	}
	if best < 0 {
		return nil
	}
	s := p.spares[best]
	p.spares = slices.Delete(p.spares, best, best+1)
	close(s.taken)
	p.change()
	return s
}

// hold keeps the pool from starting spares until done.
func (p *pool) hold() (done func()) {
	p.mu.Lock()
	p.granting++
	p.mu.Unlock()
	return func() {
		p.mu.Lock()
		p.granting--
		p.mu.Unlock()
		p.kick()
	}
}

// useNetwork has spares load libfabric from now on: the manager has clients who want it. Those that have
// not are replaced.
func (p *pool) useNetwork() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.network = true
}

// setIdle keeps no spares while no leases come.
func (p *pool) setIdle(idle bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.idle = idle
	p.kick()
}

// state is how full the pool is.
func (p *pool) state() (control.Pool, <-chan struct{}) {
	free := len(p.manager.capacity.freeCPUs())
	p.mu.Lock()
	defer p.mu.Unlock()
	state := control.Pool{Wanted: min(p.size, free)}
	if p.idle {
		state.Wanted = 0
	}
	for _, s := range p.spares {
		if s.ready {
			state.Ready++
		}
	}
	return state, p.changed
}

// await returns when the pool is full, patience is over or ctx has ended.
func (p *pool) await(ctx context.Context, patience time.Duration) control.Pool {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		p.kick() // a rank may have gone
		state, changed := p.state()
		if state.Ready >= state.Wanted {
			return state
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return state
		}
	}
}

// close returns when no spare is left; the manager's context has ended.
func (p *pool) close() { p.work.Wait() }
