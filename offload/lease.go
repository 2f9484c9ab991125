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

	"github.com/sublet-hpc/sublet/internal/control"
	"github.com/sublet-hpc/sublet/internal/fabric"
	"github.com/sublet-hpc/sublet/resources/api"
)

// Hot timeouts that are no durations.
const (
	// AlwaysHot: executors spin until the lease ends.
	AlwaysHot time.Duration = -1
	// NeverHot: executors sleep between any two invocations.
	NeverHot time.Duration = -2
	// DefaultHotTimeout is used where a Want does not say.
	DefaultHotTimeout = 100 * time.Millisecond
)

// Want says what a lease is to be.
type Want struct {
	// Executors is how many, at least 1. Each is a process on a core of its own.
	Executors int
	// Library is the path of the function library.
	Library string
	// HotTimeout is how long an executor spins after an invocation before it sleeps (waking takes
	// some 50 µs), and how long Wait spins. 0: DefaultHotTimeout; AlwaysHot; NeverHot.
	HotTimeout time.Duration
	// Oversubscribe takes executors that share cores with ranks, or with each other, where there
	// are no free cores, instead of failing with ErrNoCapacity. Executor.Oversubscribed tells.
	Oversubscribe bool
	// Environment are NAME=VALUE pairs that the functions see.
	Environment []string
	// StackSize of the thread that runs functions, in bytes. 0: 64 MiB.
	StackSize int64
	// Memory is how many bytes each executor may use: for the session's buffers and constants that it
	// maps or mirrors together, and as much again for what its functions allocate. What goes beyond is
	// refused with ErrPayloadTooLarge, or an allocation fails. 0: a share of the node's memory, equal
	// for each of its cores. At least MinMemory; more than any node has is ErrNoCapacity.
	Memory int64
	// Wait is how long to wait for cores that others have. 0: not at all; ErrNoCapacity says who has
	// them.
	Wait time.Duration
}

// MinMemory is the least that Want.Memory can be, in bytes.
const MinMemory = api.MinMemory

// function is one function of the lease's library.
type function struct {
	name  string
	index uint32
}

// Lease is the right to some executors. Any goroutine may invoke functions on them.
type Lease struct {
	session   *Session
	want      Want
	name      string
	wish      wish
	sites     []*site // one for each node
	executors []*Executor
	functions map[string]*function
	known     []string // names, for errors
	turn      atomic.Uint32
	lost      atomic.Int32

	stopRenewing func() // nil in an embedded session

	mu      sync.Mutex
	losses  []*ExecutorLost
	living  sync.WaitGroup // executors
	release func() error   // once
}

// Lease asks for executors and returns when all of them are ready. Errors are [ErrNoCapacity], and
// those that say why the function library can not be loaded or the transport not be had.
func (s *Session) Lease(ctx context.Context, want Want) (*Lease, error) {
	if want.Executors < 1 {
		return nil, fmt.Errorf("offload: a lease of %d executors; at least 1", want.Executors)
	}
	if want.HotTimeout < 0 && want.HotTimeout != AlwaysHot && want.HotTimeout != NeverHot {
		return nil, fmt.Errorf("offload: a hot timeout of %v; use AlwaysHot or NeverHot", want.HotTimeout)
	}
	if want.Memory < 0 || want.Memory > 0 && want.Memory < MinMemory {
		return nil, fmt.Errorf("offload: executors with %d bytes of memory each (Want.Memory); at least %d, or 0 for a share of their node's", want.Memory, int64(MinMemory))
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
	ctx, done, err := s.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	l := &Lease{session: s, want: want, wish: wished, functions: map[string]*function{}}
	l.release = sync.OnceValue(l.giveBack)
	if err := l.acquire(ctx); err != nil {
		return nil, errors.Join(err, l.Release())
	}
	s.add(l)
	return l, nil
}

// hot is the hot timeout as the executor wants it, and how long a client spins.
func (w *Want) hot() time.Duration {
	switch {
	case w.HotTimeout == 0:
		return DefaultHotTimeout
	case w.HotTimeout == NeverHot:
		return 0
	}
	return w.HotTimeout
}

// acquire asks for the lease and opens the way to each executor.
func (l *Lease) acquire(ctx context.Context) error {
	if l.session.resources != nil {
		return l.acquireGranted(ctx)
	}
	indices := make([]int, l.want.Executors)
	for i := range indices {
		indices[i] = i
	}
	s := l.newSite(indices)
	link, welcome, err := l.session.dial(ctx, s.unasked)
	if err != nil {
		return err
	}
	l.sites = []*site{s}
	if err := s.acquire(ctx, link, welcome, ""); err != nil {
		return err
	}
	return l.gather()
}

// gather puts together what the lease has at its sites.
func (l *Lease) gather() error {
	l.executors = make([]*Executor, l.want.Executors)
	for _, s := range l.sites {
		if !slices.Equal(s.functions, l.sites[0].functions) { // an index must mean the same
			return fmt.Errorf("offload: the function library %s is another one on node %s than on node %s", l.want.Library, s.node, l.sites[0].node)
		}
		for _, e := range s.executors {
			if e.index < 0 || e.index >= len(l.executors) || l.executors[e.index] != nil {
				return &control.ProtocolError{Reason: fmt.Sprintf("a lease of %d executors has one of index %d, or two", len(l.executors), e.index)}
			}
			l.executors[e.index] = e
		}
	}
	if slices.Contains(l.executors, nil) {
		return &control.ProtocolError{Reason: fmt.Sprintf("a lease of %d executors came without some of them", len(l.executors))}
	}
	for i, f := range l.sites[0].functions {
		l.functions[f.Name] = &function{name: f.Name, index: uint32(i)}
		l.known = append(l.known, f.Name)
	}
	return nil
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
// at once, or, while all slots are in use, when one is free or ctx ends. in and out may be nil;
// constants are those that the function will see, at most 8.
//
// ctx governs the run as well: when it ends before the invocation has, the function is ended with
// its executor, which is replaced, and the future fails with ctx's error. Invocations behind it on
// that executor are lost with it.
//
// What goes wrong is the future's: [ErrUnknownFunction], [ErrClosed], ctx's error, or
// [*ExecutorLost] when no executor is left.
func (l *Lease) Invoke(ctx context.Context, function string, in, out Payload, constants ...*Constant) *Future {
	var best *Executor
	first := int(l.turn.Add(1))
	for i := range l.executors {
		e := l.executors[(first+i)%len(l.executors)]
		if !e.Ready() {
			continue
		}
		if best == nil || e.load() < best.load() {
			best = e
		}
	}
	if best == nil {
		best = l.executors[first%len(l.executors)]
	}
	return best.Invoke(ctx, function, in, out, constants...)
}

// Release gives the executors back: they are ended, and invocations in flight end with ErrClosed.
// It returns when the processes have ended. A second call waits for the first and returns the same.
func (l *Lease) Release() error { return l.release() }

func (l *Lease) giveBack() error {
	err := l.endSites()
	if l.stopRenewing != nil {
		l.stopRenewing()
		l.forgetGrant() // only now: the cores are free
	}
	if err != nil {
		return err
	}
	// Only now: until here the executors used the session's memory.
	l.session.remove(l)
	return nil
}

// endSites gives back what the lease has on all nodes, and returns when its executors have ended.
func (l *Lease) endSites() error {
	ctx, cancel := context.WithTimeout(context.Background(), releasePatience)
	defer cancel()
	var all sync.WaitGroup
	for _, s := range l.sites {
		all.Go(func() { s.release(ctx) })
	}
	ended := make(chan struct{})
	go func() {
		all.Wait()
		l.living.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-ctx.Done():
		// Something keeps a killed process: a file system that does not answer, say.
		return fmt.Errorf("offload: executors of lease %s were killed and have not ended within %v; their buffers stay lent until they do", l.name, releasePatience)
	}
	for _, s := range l.sites {
		for _, e := range s.executors {
			e.dropNews()
		}
	}
	l.sites = nil
	return nil
}

// maxLosses is how many losses a lease remembers.
const maxLosses = 100

// lose notes the loss of an executor.
func (l *Lease) lose(lost *ExecutorLost) {
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
