package replica

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"time"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// disk is a data directory as raft sees it: the log, a few values beside it, and snapshots.
//
// Raft panics if a value can not be written. So after the first write that fails, those who write values wait
// until the end, which the failure brings about.
type disk struct {
	*raftboltdb.BoltStore
	snapshots *raft.FileSnapshotStore
	directory string

	failed   func(error)
	ending   chan struct{}
	endOnce  sync.Once
	mu       sync.Mutex
	err      error // of the first write that failed
	replay   *replay
	isClosed bool
}

const (
	logName = "raft.db"
	// lockPatience is how long another process may still have the directory: one that is just ending.
	lockPatience = time.Second
	// keptSnapshots is how many snapshots are kept.
	keptSnapshots = 2
)

// openDisk opens a directory that identify has looked at. One process has it at a time.
func openDisk(directory string, its *replay, failed func(error)) (*disk, error) {
	d := &disk{directory: directory, replay: its, failed: failed, ending: make(chan struct{})}
	path := filepath.Join(directory, logName)
	err := guarded(path, func() (err error) {
		if err := verifySize(path); err != nil {
			return err
		}
		d.BoltStore, err = raftboltdb.New(raftboltdb.Options{Path: path, BoltOptions: &bbolt.Options{
			// Not NoFreelistSync: looking for free pages in a damaged file, bbolt panics in a goroutine of its own.
			Timeout: lockPatience, FreelistType: bbolt.FreelistMapType,
		}})
		return err
	})
	if errors.Is(err, bolterrors.ErrTimeout) {
		return nil, fmt.Errorf("%s has it; end that, or name another directory with --data", owner(directory))
	}
	if err != nil {
		return nil, fmt.Errorf("opening the log: %w", explain(path, err))
	}
	if err := own(directory); err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

// verifySize refuses a file that ends before what it says that it has: to open it for writing, cut between two pages, would
// make it longer, and what was damaged is left as it is. One that is not there is to become a log.
func verifySize(path string) error {
	file, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && file.Size() == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	log, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: lockPatience, ReadOnly: true})
	if err != nil {
		return err
	}
	return errors.Join(log.View(func(tx *bbolt.Tx) error {
		if tx.Size() > file.Size() {
			return fmt.Errorf("%w: it has %d bytes, and had %d", ErrDamaged, file.Size(), tx.Size())
		}
		return nil
	}), log.Close())
}

// openSnapshots is for after the lock: it writes.
func (d *disk) openSnapshots(log *logger) (err error) {
	d.snapshots, err = raft.NewFileSnapshotStoreWithLogger(d.directory, keptSnapshots, log)
	return err
}

// explain says what to do about a log that can not be read.
func explain(path string, err error) error {
	for _, damage := range []error{bolterrors.ErrInvalid, bolterrors.ErrChecksum, ErrDamaged} {
		if errors.Is(err, damage) {
			return fmt.Errorf("%s is damaged or cut (%w); put a copy of the directory back, or move it away to begin with an empty ledger: executor managers then report what runs", path, err)
		}
	}
	if errors.Is(err, bolterrors.ErrVersionMismatch) {
		return fmt.Errorf("%w: %s (%w); start the version of Sublet that wrote it", ErrVersion, path, err)
	}
	return err
}

// guarded calls what reads a file that is mapped: pages that the file does not have, or that are not
// what they should be, end in an error.
func guarded(path string, read func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("%w: reading %s: %v", ErrDamaged, filepath.Base(path), fault)
		}
	}()
	return read()
}

// noted remembers the first write that failed, and says so.
func (d *disk) noted(err error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil && d.err == nil {
		d.err = fmt.Errorf("writing the log failed: %w", err)
		d.failed(d.err)
	}
	return err
}

// broken is why nothing is written any more, or nil.
func (d *disk) broken() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.err
}

// StoreLog appends an entry.
func (d *disk) StoreLog(log *raft.Log) error { return d.StoreLogs([]*raft.Log{log}) }

// StoreLogs appends entries, all with one flush.
func (d *disk) StoreLogs(logs []*raft.Log) error {
	if err := d.broken(); err != nil {
		return err
	}
	return d.noted(d.BoltStore.StoreLogs(logs))
}

// Set writes a value.
func (d *disk) Set(key, value []byte) error {
	return d.orEnd(func() error { return d.BoltStore.Set(key, value) })
}

// SetUint64 writes a number.
func (d *disk) SetUint64(key []byte, value uint64) error {
	return d.orEnd(func() error { return d.BoltStore.SetUint64(key, value) })
}

func (d *disk) orEnd(write func() error) error {
	if d.broken() == nil && d.noted(write()) == nil {
		return nil
	}
	<-d.ending
	return nil // nothing that depends on it can be stored either
}

// release lets those go on who wait for the end.
func (d *disk) release() { d.endOnce.Do(func() { close(d.ending) }) }

func (d *disk) close() error {
	if d.isClosed {
		return nil
	}
	d.isClosed = true
	d.release()
	if d.BoltStore == nil {
		return nil
	}
	return d.BoltStore.Close()
}
