package replica

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/sublet-hpc/sublet/resources/ledger"
)

// ErrUnavailable says that the replica does not take commands, or does not know whether one will last:
// it is starting or ending, its disk has failed, or another replica leads.
var ErrUnavailable = errors.New("the ledger is not available")

// Options say where a replica keeps its ledger.
type Options struct {
	// Place is the data directory, which [Choose] finds.
	Place
	// Log is where to log. Nil: nowhere.
	Log *slog.Logger
}

// Replica is a ledger in a data directory. Propose and State are for one goroutine at a time; whatever else
// there is, for any.
type Replica struct {
	log     *slog.Logger
	place   Place
	id      identity
	machine *machine
	disk    *disk
	raft    *raft.Raft

	// order is held while a command is decided on and put into the log.
	order    sync.Mutex
	front    *ledger.State // with all commands that were proposed, also those that are not durable yet
	revision uint64        // of front
	leading  bool

	waiters *waiters

	copying        sync.Mutex
	hasCopied      bool
	copiedRevision uint64

	leadership chan bool     // from raft
	marked     chan uint64   // marks that were committed
	failure    chan struct{} // closed when cause is set
	failOnce   sync.Once
	cause      error
	ending     chan struct{}
	tasks      sync.WaitGroup
}

const (
	// electionTimeout is how long a replica listens for others before it leads. Where there are none that
	// is most of the time until it is ready.
	electionTimeout = 20 * time.Millisecond
	// batch is how many commands share a flush of the disk, at most.
	batch = 512
	// A snapshot is taken once there are so many entries behind the last one, which is looked for about that
	// often; together that bounds what a start has to replay.
	snapshotEntries  = 4096
	snapshotInterval = 100 * time.Millisecond
	// keptEntries stay in the log behind a snapshot.
	keptEntries = 256
	// startPatience is how long a start may take on a machine that is busy.
	startPatience = 30 * time.Second
	// endPatience is how long what was proposed may take to become durable at the end.
	endPatience = 2 * time.Second
)

// Open opens the ledger of a data directory, or begins one in an empty directory, and returns when it takes
// commands. Nothing is deleted, whatever is found.
func Open(options Options) (*Replica, error) {
	r := &Replica{
		log: options.Log, place: options.Place, machine: newMachine(), waiters: newWaiters(),
		leadership: make(chan bool, 64), marked: make(chan uint64, 1), failure: make(chan struct{}), ending: make(chan struct{}),
	}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	r.machine.committed, r.machine.failed = r.committed, r.fail
	if err := r.open(); err != nil {
		return nil, fmt.Errorf("the ledger in %s: %w", options.Directory, err)
	}
	return r, nil
}

func (r *Replica) open() error {
	begun := time.Now()
	var err error
	var kept *copied
	if r.id, kept, err = r.place.identify(r.log); err != nil {
		return err
	}
	if r.disk, err = openDisk(r.place.Directory, r.machine.replay, r.fail); err != nil {
		return err
	}
	if err := r.begin(kept); err != nil {
		return errors.Join(err, r.disk.close())
	}
	r.tasks.Go(r.follow)
	err = r.ready(startPatience)
	r.machine.replay.forget()
	if err != nil {
		return errors.Join(err, r.Close())
	}
	if r.place.Copy != "" {
		if err := r.copyOut(); err != nil { // it is ours from now on
			return errors.Join(err, r.Close())
		}
		r.tasks.Go(r.keepCopy)
	}
	state := r.State()
	r.log.Info("ledger", "directory", r.place.Directory, "revision", r.revision, "nodes", len(state.Nodes), "leases", len(state.Leases), "took", time.Since(begun).Round(time.Millisecond))
	return nil
}

// begin looks through the disk and starts raft.
func (r *Replica) begin(kept *copied) error {
	if err := r.disk.openSnapshots(newLogger(r.log)); err != nil {
		return err
	}
	if err := r.takeUp(kept); err != nil {
		return err
	}
	if err := r.disk.verify(raft.ServerID(r.id.ID)); err != nil {
		return err
	}
	if err := r.start(); err != nil {
		return err
	}
	if r.id.Begun {
		return nil
	}
	r.id.Begun = true
	return r.id.write(r.place.Directory)
}

// start starts raft: a cluster of one voter, if there is none yet.
func (r *Replica) start() error {
	config := raft.DefaultConfig()
	config.LocalID = raft.ServerID(r.id.ID)
	config.HeartbeatTimeout, config.ElectionTimeout, config.LeaderLeaseTimeout = electionTimeout, electionTimeout, electionTimeout
	config.BatchApplyCh, config.MaxAppendEntries = true, batch
	config.SnapshotThreshold, config.SnapshotInterval, config.TrailingLogs = snapshotEntries, snapshotInterval, keptEntries
	config.NotifyCh = r.leadership
	config.Logger = newLogger(r.log)
	config.NoLegacyTelemetry = true
	// One voter has nobody to talk to. The address is that of this replica alone, until there are others.
	address, transport := raft.NewInmemTransport("")
	has, err := raft.HasExistingState(r.disk, r.disk, r.disk.snapshots)
	if err != nil {
		return err
	}
	if !has {
		voter := raft.Server{Suffrage: raft.Voter, ID: config.LocalID, Address: address}
		if err := raft.BootstrapCluster(config, r.disk, r.disk, r.disk.snapshots, transport, raft.Configuration{Servers: []raft.Server{voter}}); err != nil {
			return err
		}
	}
	r.raft, err = raft.NewRaft(config, r.machine, r.disk, r.disk, r.disk.snapshots, transport)
	return err
}

// follow keeps up with who leads.
//
//	started ── raft says that it leads ──▶ a mark is in the log ── committed ──▶ leading
//	             ▲                                                                  │ raft says that it does not,
//	             └──────────────────────────────────────────────────────────────────┘ or a disk fails
//
// Whatever the log had before the mark is part of the machine's state when the mark is: then the front begins
// there again, and what somebody was told of it before is void.
func (r *Replica) follow() {
	var mark uint64
	for {
		select {
		case leads := <-r.leadership:
			r.step(false, nil, 0)
			if !leads {
				r.waiters.fail(fmt.Errorf("%w: it does not lead any more, and what was on its way may be lost", ErrUnavailable))
				continue
			}
			mark = rand.Uint64() // the log has the marks of earlier starts
			text, err := entry{revision: mark}.encode()
			if err != nil {
				r.fail(err)
				continue
			}
			r.raft.Apply(text, 0) // what comes of it, the machine says
		case marked := <-r.marked:
			if marked == mark {
				i := r.machine.image()
				r.step(true, i.State, i.Revision)
			}
		case <-r.failure:
			r.step(false, nil, 0)
			r.waiters.fail(r.unavailable())
			return
		case <-r.ending:
			return
		}
	}
}

// step begins to take commands, on a state, or stops.
func (r *Replica) step(leading bool, state *ledger.State, revision uint64) {
	r.order.Lock()
	defer r.order.Unlock()
	r.leading = leading
	if leading {
		r.front, r.revision = state, revision
		r.waiters.begin()
	}
}

// committed is the machine's: an entry is durable, and part of its state.
func (r *Replica) committed(revision uint64, mark bool) {
	if !mark {
		r.waiters.reached(revision)
		return
	}
	select {
	case r.marked <- revision:
	case <-r.ending:
	}
}

// ready waits until commands are taken.
func (r *Replica) ready(patience time.Duration) error {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-r.waiters.ready:
		return nil
	case <-r.failure:
		return r.cause
	case <-timer.C:
		return fmt.Errorf("%w: it was not ready within %v; is the disk, or the machine, very busy?", ErrUnavailable, patience)
	}
}

// fail notes that nothing can be written or applied any more.
func (r *Replica) fail(cause error) {
	r.failOnce.Do(func() {
		r.cause = cause
		close(r.failure)
	})
}

// Failed is closed when the replica takes no commands any more, for good; Err says why.
func (r *Replica) Failed() <-chan struct{} { return r.failure }

// Err is why the replica has failed; nil as long as it has not.
func (r *Replica) Err() error {
	select {
	case <-r.failure:
		return fmt.Errorf("the ledger in %s: %w; what was answered is in it, and leases go on: start the resource manager again when that is mended", r.place.Directory, r.cause)
	default:
		return nil
	}
}

func (r *Replica) unavailable() error {
	if err := r.Err(); err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return fmt.Errorf("%w: it is starting, ending, or another leads", ErrUnavailable)
}

// Close waits a little until what was proposed is durable, and closes the ledger.
func (r *Replica) Close() error {
	r.step(false, nil, 0)
	if r.Err() != nil {
		return r.stop()
	}
	ctx, cancel := context.WithTimeout(context.Background(), endPatience)
	defer cancel()
	err := r.Mark().Wait(ctx)
	if err == nil && r.place.Copy != "" {
		err = r.copyOut()
	}
	return errors.Join(err, r.stop())
}

// stop ends everything, as it is.
func (r *Replica) stop() error {
	r.step(false, nil, 0)
	close(r.ending)
	r.disk.release()
	err := r.raft.Shutdown().Error()
	r.tasks.Wait()
	r.waiters.fail(r.unavailable())
	return errors.Join(err, r.disk.close())
}
