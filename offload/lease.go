package offload

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sublet-hpc/sublet/internal/bytesize"
	"github.com/sublet-hpc/sublet/internal/control"
	"github.com/sublet-hpc/sublet/internal/fabric"
	"github.com/sublet-hpc/sublet/resources/api"
)

// function is one function of the lease's library.
type function struct {
	name  string
	index uint32
}

// find returns a function of the library, or nil. Most programs call one again and again.
func (l *Lease) find(name string) *function {
	if recent := l.recent.Load(); recent != nil && recent.name == name {
		return recent
	}
	fn := l.functions[name]
	if fn != nil {
		l.recent.Store(fn)
	}
	return fn
}

// Lease is the right to some executors. Any goroutine may invoke functions on them.
//
// Executors that are lost are replaced; those that are lost with their node or its manager are
// asked for anew, on any node (refill.go).
type Lease struct {
	session   *Session
	want      Want
	wish      wish
	executors []*Executor
	functions map[string]*function
	recent    atomic.Pointer[function] // found last
	known     []string                 // names, for errors
	library   []control.Function
	turn      atomic.Uint32
	lost      atomic.Int32
	changed   broadcast       // an executor has become ready, or will not
	alive     context.Context // ends when Release begins
	end       context.CancelFunc

	mu        sync.Mutex // taken before a site's or an executor's, never while one is held
	grants    []*grant
	losses    []*ExecutorLost
	vacant    []*Executor   // have lost their berths
	vacated   chan struct{} // has room for one; tells the refilling of more
	refilling bool
	unfilled  string // why the last attempt failed
	limit     limit
	over      bool           // nothing new begins
	rerunning sync.WaitGroup // invocations that look for another executor, and the refilling
	release   func() error   // once
}

// Lease asks for executors and returns when all of them are ready. Errors are [ErrNoCapacity], and
// those that say why the function library can not be loaded or the transport not be had.
//
// The first one of a session that was made with [AtFirstLease] connects it before, and fails if that does.
func (s *Session) Lease(ctx context.Context, want Want) (*Lease, error) {
	l, _, err := s.lease(ctx, want)
	return l, err
}

// lease tells as well what the lease took once the session was connected.
func (s *Session) lease(ctx context.Context, want Want) (*Lease, time.Duration, error) {
	l, err := s.plan(want)
	if err != nil {
		return nil, 0, err
	}
	ctx, done, err := s.begin(ctx)
	if err != nil {
		return nil, 0, err
	}
	defer done()
	if err := s.appear(ctx); err != nil {
		return nil, 0, err
	}
	began := time.Now()
	if err := l.settleAgain(ctx, l.executors, l.want.Wait); err != nil {
		return nil, 0, errors.Join(err, l.Release())
	}
	l.start()
	return l, time.Since(began), nil
}

// start is for when all executors are there.
func (l *Lease) start() {
	l.limit.start(l.want.TimeLimit)
	l.session.add(l)
}

// plan makes a lease that has no executors yet, if what is wanted makes sense.
func (s *Session) plan(want Want) (*Lease, error) {
	if want.Executors < 1 {
		return nil, fmt.Errorf("offload: a lease of %d executors; at least 1", want.Executors)
	}
	if want.CoresPerExecutor < 0 || want.CoresPerExecutor > api.MaxCoresPerExecutor {
		return nil, fmt.Errorf("offload: executors of %d cores each (Want.CoresPerExecutor); 1 to %d, or 0 for 1", want.CoresPerExecutor, api.MaxCoresPerExecutor)
	}
	if want.CoresPerExecutor > 1 && want.Oversubscribe {
		return nil, fmt.Errorf("offload: oversubscribed executors of %d cores each: threads that share their cores with others hold each other up; leave out Want.Oversubscribe or Want.CoresPerExecutor", want.CoresPerExecutor)
	}
	if want.HotTimeout < 0 && want.HotTimeout != AlwaysHot && want.HotTimeout != NeverHot {
		return nil, fmt.Errorf("offload: a hot timeout of %v; use AlwaysHot or NeverHot", want.HotTimeout)
	}
	if want.Memory < 0 || want.Memory > 0 && want.Memory < MinMemory {
		return nil, fmt.Errorf("offload: executors with %s of memory each (Want.Memory); at least %s, or 0 for a share of their node's", bytesize.Format(want.Memory), bytesize.Format(MinMemory))
	}
	if !want.Placement.Known() {
		return nil, fmt.Errorf("offload: placement %q (Want.Placement); there are %q, the default, and %q", want.Placement, Pack, Spread)
	}
	if want.TimeLimit < 0 {
		return nil, fmt.Errorf("offload: a time limit of %v (Want.TimeLimit); it is above 0, or 0 for none", want.TimeLimit)
	}
	if want.Account != "" {
		if err := api.CheckAccount(want.Account); err != nil {
			return nil, fmt.Errorf("offload: %w", err)
		}
	}
	library, err := filepath.Abs(want.Library)
	if err != nil {
		return nil, fmt.Errorf("offload: function library %s: %w", want.Library, err)
	}
	if want.Library == "" {
		return nil, errors.New("offload: a lease needs a function library (Want.Library)")
	}
	want.Library = library
	wished, err := readWish()
	if err != nil {
		return nil, err
	}
	l := newLease(s, want)
	l.wish = wished
	return l, nil
}

func newLease(s *Session, want Want) *Lease {
	l := &Lease{session: s, want: want, functions: map[string]*function{}, vacated: make(chan struct{}, 1)}
	l.alive, l.end = context.WithCancel(context.Background())
	for i := range want.Executors {
		l.executors = append(l.executors, newExecutor(l, i))
	}
	l.release = sync.OnceValue(l.giveBack)
	return l
}

// Executors are the lease's, in the order of their indices.
func (l *Lease) Executors() []*Executor { return l.executors }

// Functions are the names of the library's functions.
func (l *Lease) Functions() []string { return l.known }

// Memory is how many bytes each executor may use (see Want.Memory); where they differ, the least.
func (l *Lease) Memory() int64 {
	least := l.executors[0].Memory()
	for _, e := range l.executors[1:] {
		least = min(least, e.Memory())
	}
	return least
}

// Lost is how many executors the lease has lost so far; each is replaced if that can be done.
func (l *Lease) Lost() int { return int(l.lost.Load()) }

// Path is the transport and provider that the executors are reached by.
func (l *Lease) Path() Path { return l.executors[0].Path() }

// Invoke sends an invocation of a function to the executor that has the least to do, and returns
// at once, or, while all of that one's slots are in use or all executors are being replaced, when
// it can be sent or ctx ends. in and out may be nil; constants are those that the function will see,
// at most 8.
//
// ctx governs the run as well: when it ends before the invocation has, the function is ended with
// its executor, which is replaced, and the future fails with ctx's error (and [ErrDeadline] if that
// was a deadline).
//
// If the executor is lost the invocation is run again on another one, unless the lease is
// NotRepeatable. A function that itself ends its executor (by a signal, or by calling exit) is run
// once more; the second time the input is taken for poison ([ErrPoison]).
//
// What goes wrong is the future's: [ErrUnknownFunction], [ErrClosed], ctx's error, or
// [*ExecutorLost] when no executor is left.
func (l *Lease) Invoke(ctx context.Context, function string, in, out Payload, constants ...*Constant) Future {
	f := l.prepare(function, in, out, constants)
	future := f.future()
	if f.hasEnded() {
		return future
	}
	f.ctx, f.anywhere = ctx, true
	l.dispatch(f)
	return future
}

// dispatch sends an invocation that has its buffers lent to the executor that has the least to do, or
// ends it.
func (l *Lease) dispatch(f *invocation) {
	c, _ := l.choose()
	if c == nil {
		var err error
		if c, err = l.awaitExecutor(f.ctx); err != nil {
			if f.ctx.Err() != nil {
				err = f.overdue("while there was no executor to send it to")
			}
			f.end(0, err)
			return
		}
	}
	f.send(c)
}

// TryInvoke is Invoke for callers with something better to do than to wait: while all slots of all
// executors are in use, or none is ready, it sends nothing and returns [ErrBusy]. Any other error is
// the future's. (Buffers that an executor does not know yet are made known to it first, which
// takes a moment.)
func (l *Lease) TryInvoke(ctx context.Context, function string, in, out Payload, constants ...*Constant) (Future, error) {
	f := l.prepare(function, in, out, constants)
	future := f.future()
	if f.hasEnded() {
		return future, nil
	}
	f.ctx, f.anywhere, f.try = ctx, true, true
	c, _ := l.choose()
	if c == nil && l.alive.Err() == nil {
		f.end(0, l.busy())
	} else if c == nil {
		f.end(0, errReleased)
	} else {
		f.send(c)
	}
	if f.hasEnded() && errors.Is(f.err, ErrBusy) {
		_, err := future.Wait(ctx)
		return Future{}, err
	}
	return future, nil
}

// busy is the error when no executor can take an invocation now.
func (l *Lease) busy() error {
	return classify(ErrBusy, "offload: all slots of the lease's %d executors are in use (%d each), or they are being replaced; Invoke waits for one", len(l.executors), fabric.DefaultSlots)
}

// Release gives the executors back: they are ended, and invocations in flight end with ErrClosed.
// It returns when the processes have ended. A second call waits for the first and returns the same.
func (l *Lease) Release() error { return l.release() }

func (l *Lease) giveBack() error {
	l.mu.Lock()
	l.over = true
	l.mu.Unlock()
	l.end()
	if err := l.giveBackGrants(); err != nil {
		return err
	}
	l.rerunning.Wait()
	// The refilling may have got one meanwhile whose executors did not end at once.
	if err := l.giveBackGrants(); err != nil {
		return err
	}
	// Only now: until here the executors used the session's memory.
	l.session.remove(l)
	return nil
}

// giveBackGrants returns when the executors of all grants that there are have ended.
func (l *Lease) giveBackGrants() error {
	l.mu.Lock()
	grants := l.grants
	l.grants = nil
	l.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), releasePatience)
	defer cancel()
	var all sync.WaitGroup
	errs := make([]error, len(grants))
	for i, g := range grants {
		all.Go(func() { errs[i] = g.giveBack(ctx) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// maxLosses is how many losses a lease remembers.
const maxLosses = 100

// mourn notes the loss of an executor.
func (l *Lease) mourn(lost *ExecutorLost) {
	l.lost.Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.losses) < maxLosses {
		l.losses = append(l.losses, lost)
	}
}

// Losses are the first executors that were lost, and why.
func (l *Lease) Losses() []*ExecutorLost {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.losses)
}

// releasePatience is how long the end of killed processes may take.
const releasePatience = 10 * time.Second

// Path names the transport and provider that are really used.
type Path = fabric.Path

var errReleased = classify(ErrClosed, "offload: the lease was released")
