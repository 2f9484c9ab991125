package offload

import (
	"context"
	"errors"
	"maps"
	"os"
	"runtime"
	"slices"
	"sync"

	"github.com/sublet-hpc/sublet/internal/control"
	"github.com/sublet-hpc/sublet/resources/api"
)

// Session is a program's connection to Sublet: its memory, its constants and its leases. A rank
// has one, and closes it when it is done.
type Session struct {
	resources *api.Client // the resource manager; nil: there is none
	direct    *direct     // the executor managers of a database; with neither the session is embedded
	presence  presence
	regions   regions
	leaseCost costs

	mu        sync.Mutex
	leases    map[*Lease]struct{}
	closed    bool
	alive     context.Context // ends when Close begins
	end       context.CancelFunc
	acquiring sync.WaitGroup // leases that are being asked for
	close     func() error   // once
}

// Option is an option of Connect.
type Option func(*options)

type options struct {
	database string
	late     bool
}

// FromExecutorsDatabase has leases come straight from the executor managers that a file names, rFaaS's
// executors_database.json, without a resource manager. SUBLET_EXECUTORS_DATABASE does the same; an empty
// path is none. Managers on other hosts want the token that they have made (SUBLET_TOKEN_FILE, else
// ~/.sublet/token).
func FromExecutorsDatabase(path string) Option { return func(o *options) { o.database = path } }

// AtFirstLease has Connect return without asking anybody: the session is connected by its first [Session.Lease], [LeaseAll]
// or [Session.AwaitPool], or the lease that a [Split] asks for, which with [Auto] is in the background. It is for programs
// that may lease nothing: no helper is started for them, and no server is asked. Memory, constants, and splits without
// executors need no connection. That a resource manager or a helper does not answer is then the error of that lease, and
// the next one tries it again. What Connect can see by itself is still its error: a run directory or an executors database
// that can not be read, programs of Sublet's that are not there.
//
// Until a session is connected nobody is told that the program computes on a core of this host. The helper of a job
// looks for all of its ranks on the node, connected or not, before it lends anything to the first. Elsewhere (ranks of several
// launchers, executor managers that lend to others) the core can have been lent by the time that the rank
// connects: it is bound to that core and computes there all the same, and an executor that has it shares it with the rank until its lease ends.
func AtFirstLease() Option { return func(o *options) { o.late = true } }

// DatabaseVariable names the executors database in the environment.
const DatabaseVariable = "SUBLET_EXECUTORS_DATABASE"

// Connect starts a session. If there is an executors database ([FromExecutorsDatabase],
// SUBLET_EXECUTORS_DATABASE), leases come from the managers in it. If there is a run directory with a resource manager (SUBLET_DIR, else
// ~/.sublet/current), leases come from that, on any of its nodes; that it does not answer is an
// error. Else the session is embedded: the first rank of a job on a node starts one helper process
// there, which all its ranks share and which ends with the last of them. [AtFirstLease] puts off what takes time.
//
// Connect raises GOMAXPROCS to 4 where it is lower and the environment does not set it: launchers
// bind a rank to one core, and a thread that spins in C would leave the other goroutines none.
func Connect(ctx context.Context, choices ...Option) (*Session, error) {
	o := options{database: os.Getenv(DatabaseVariable)}
	for _, choose := range choices {
		choose(&o)
	}
	var resources *api.Client
	var database *direct
	var err error
	if o.database != "" {
		database, err = readDatabase(o.database)
	} else {
		resources, err = resourceManager()
	}
	if err != nil {
		return nil, err
	}
	if os.Getenv("GOMAXPROCS") == "" && runtime.GOMAXPROCS(0) < 4 {
		runtime.GOMAXPROCS(4)
	}
	s := newSession()
	s.resources, s.direct = resources, database
	if database != nil {
		database.absent.session = s.alive
	}
	s.presence.node, err = os.Hostname()
	switch {
	case err != nil:
	case !o.late:
		err = s.appear(ctx)
	case resources == nil && database == nil:
		_, err = findPrograms()
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func newSession() *Session {
	s := &Session{leases: map[*Lease]struct{}{}}
	s.alive, s.end = context.WithCancel(context.Background())
	s.close = sync.OnceValue(s.shut)
	s.regions.forget = s.forget
	return s
}

func (s *Session) dial(ctx context.Context, unasked func(*control.Frame)) (*link, control.Welcome, error) {
	const attempts = 5
	for attempt := 1; ; attempt++ {
		conn, wanted, err := connectHelper(ctx)
		if err != nil {
			return nil, control.Welcome{}, err
		}
		l, welcome, err := newLink(ctx, conn, hello(), unasked)
		wanted.Close()
		// A helper that was about to end, or is killed, takes connections until it is gone.
		if err == nil || attempt == attempts || !endedByPeer(err) {
			return l, welcome, err
		}
	}
}

// Node is the name of the node that the program runs on; with [AtFirstLease], and before the first lease, the host's name.
func (s *Session) Node() string { return s.presence.name() }

// forget makes executors forget a region; without an error none has it any more.
func (s *Session) forget(r *region) error {
	s.mu.Lock()
	leases := slices.Collect(maps.Keys(s.leases))
	s.mu.Unlock()
	var errs []error
	for _, lease := range leases {
		for _, e := range lease.executors {
			errs = append(errs, e.forget(r))
		}
	}
	return errors.Join(errs...)
}

// begin starts asking for a lease; the context ends with ctx or with Close, which waits for done.
func (s *Session) begin(ctx context.Context) (_ context.Context, done func(), _ error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, nil, classify(ErrClosed, "offload: the session is closed")
	}
	s.acquiring.Add(1)
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(s.alive, cancel)
	return ctx, func() {
		stop()
		cancel()
		s.acquiring.Done()
	}, nil
}

func (s *Session) add(l *Lease) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leases[l] = struct{}{}
}

func (s *Session) remove(l *Lease) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.leases, l)
}

// Close releases the session's leases and frees its memory. Buffers and constants must not be
// used after it. A second call waits for the first and returns the same.
func (s *Session) Close() error { return s.close() }

func (s *Session) shut() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.end()
	s.acquiring.Wait()
	s.mu.Lock()
	leases := slices.Collect(maps.Keys(s.leases))
	s.mu.Unlock()
	var errs []error
	for _, lease := range leases {
		errs = append(errs, lease.Release())
	}
	closeAll(s.presence.hostLinks())
	if s.resources != nil {
		s.resources.Close()
	}
	if s.direct != nil {
		s.direct.absent.all.Wait()
	}
	if err := errors.Join(errs...); err != nil {
		// An executor may live and write: better to keep the memory than to give it to others.
		return err
	}
	return s.regions.close()
}
