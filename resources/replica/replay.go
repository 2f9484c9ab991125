package replica

import (
	"bytes"
	"fmt"
	"path/filepath"
	"runtime"
	"sync"

	"github.com/hashicorp/raft"
	"golang.org/x/sync/errgroup"
)

// replay is what verify has read of a disk, for raft and the machine, which would else read it again: most of
// what a start takes is reading. It is gone when the start is over.
type replay struct {
	snapshot *readImage

	mu      sync.Mutex
	first   uint64 // index of logs[0]
	logs    []raft.Log
	entries []entry // of the same indices; those that are not ours are empty
}

// readImage is an image with the bytes that it was read from.
type readImage struct {
	text  []byte
	image image
}

// readers is how many read a log at the same time.
var readers = max(runtime.GOMAXPROCS(0), 2)

// readAll reads the entries of a log. Those behind the snapshot are kept.
func (d *disk) readAll(first, last, snapshot uint64, voter raft.ServerID) ([]raft.Log, error) {
	if last < first {
		return nil, nil
	}
	count := int(last - first + 1)
	logs, entries := make([]raft.Log, count), make([]entry, count)
	share := (count + readers - 1) / readers
	var group errgroup.Group
	for from := 0; from < count; from += share {
		to := min(from+share, count)
		group.Go(func() error {
			return guarded(filepath.Join(d.directory, logName), func() error { // faults are each goroutine's own
				for i := from; i < to; i++ {
					index := first + uint64(i)
					if err := d.BoltStore.GetLog(index, &logs[i]); err != nil {
						return fmt.Errorf("%w: entry %d of the log: %w", ErrDamaged, index, err)
					}
					var err error
					if entries[i], err = verifyEntry(&logs[i], voter); err != nil {
						return fmt.Errorf("entry %d of the log: %w", index, err)
					}
				}
				return nil
			})
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	from := min(max(snapshot+1, first)-first, uint64(count))
	d.replay.mu.Lock()
	defer d.replay.mu.Unlock()
	d.replay.first, d.replay.logs, d.replay.entries = first+from, logs[from:], entries[from:]
	return logs, nil
}

// log finds an entry that was read; nil: it is not among them.
func (r *replay) log(index uint64) *raft.Log {
	r.mu.Lock()
	defer r.mu.Unlock()
	if index < r.first || index-r.first >= uint64(len(r.logs)) {
		return nil
	}
	return &r.logs[index-r.first]
}

// entry reads an entry of ours, unless that was done.
func (r *replay) entry(log *raft.Log) (entry, error) {
	if read := r.log(log.Index); read != nil && read.Term == log.Term {
		r.mu.Lock()
		defer r.mu.Unlock()
		if i := log.Index - r.first; i < uint64(len(r.entries)) {
			return r.entries[i], nil
		}
	}
	return decode(log.Data)
}

// image reads an image, unless that was done. The result is the caller's.
func (r *replay) image(text []byte) (image, error) {
	r.mu.Lock()
	read := r.snapshot
	r.snapshot = nil
	r.mu.Unlock()
	if read != nil && bytes.Equal(read.text, text) {
		return read.image, nil
	}
	return decodeImage(text)
}

// forget is for when the start is over.
func (r *replay) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.snapshot, r.first, r.logs, r.entries = nil, 0, nil, nil
}

// GetLog reads an entry.
func (d *disk) GetLog(index uint64, log *raft.Log) error {
	if known := d.replay.log(index); known != nil {
		*log = *known
		return nil
	}
	return d.BoltStore.GetLog(index, log)
}
