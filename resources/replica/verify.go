package replica

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
)

// verify reads all that raft is going to read, so that raft finds nothing that it would panic at, or skip
// without a word. Our voter must be among those that the disk knows.
func (d *disk) verify(voter raft.ServerID) error {
	path := filepath.Join(d.directory, logName)
	if err := guarded(path, func() error { return d.verifyLog(voter) }); err != nil {
		return explain(path, err)
	}
	return nil
}

// currentTerm is the key of a value that raft keeps beside the log.
const currentTerm = "CurrentTerm"

func (d *disk) verifyLog(voter raft.ServerID) error {
	snapshot, err := d.verifySnapshot(voter)
	if err != nil {
		return err
	}
	term, err := d.GetUint64([]byte(currentTerm))
	if err != nil && !errors.Is(err, raftboltdb.ErrKeyNotFound) {
		return err
	}
	first, err := d.FirstIndex()
	if err != nil {
		return err
	}
	last, err := d.LastIndex()
	if err != nil {
		return err
	}
	most, err := d.mostEntries()
	if err != nil {
		return err
	}
	switch {
	case first > snapshot+1:
		return fmt.Errorf("%w: the log begins with entry %d, and the snapshots end with %d", ErrDamaged, first, snapshot)
	case last < first || last-first > most:
		return fmt.Errorf("%w: the log has entries %d to %d", ErrDamaged, first, last)
	}
	logs, err := d.readAll(max(first, 1), last, snapshot, voter)
	if err != nil {
		return err
	}
	before := uint64(0) // the term of the entry before
	for i := range logs {
		index, log := max(first, 1)+uint64(i), &logs[i]
		if log.Index != index || log.Term < before || log.Term > term {
			return fmt.Errorf("%w: entry %d of the log says that it is %d of term %d, between terms %d and %d", ErrDamaged, index, log.Index, log.Term, before, term)
		}
		before = log.Term
	}
	return nil
}

// mostEntries is how many entries the log can have: of each its file has the index, and as much again to find it
// by. Numbers that are not as they were written do not have memory set aside for entries that are not there.
func (d *disk) mostEntries() (uint64, error) {
	const least = 16 // bytes
	info, err := os.Stat(filepath.Join(d.directory, logName))
	if err != nil {
		return 0, err
	}
	return uint64(info.Size()) / least, nil
}

// verifyEntry reads an entry; one of ours is the result.
func verifyEntry(log *raft.Log, voter raft.ServerID) (e entry, err error) {
	switch log.Type {
	case raft.LogCommand:
		return decode(log.Data)
	case raft.LogConfiguration:
		return e, verifyVoters(raft.DecodeConfiguration(log.Data), voter)
	case raft.LogNoop, raft.LogBarrier:
		if len(log.Data) == 0 {
			return e, nil
		}
	}
	return e, fmt.Errorf("%w: it has type %v and %d bytes", ErrDamaged, log.Type, len(log.Data))
}

func verifyVoters(voters raft.Configuration, voter raft.ServerID) error {
	if !slices.ContainsFunc(voters.Servers, func(s raft.Server) bool { return s.ID == voter && s.Suffrage == raft.Voter }) {
		return fmt.Errorf("%w: this voter, %s, is not among those that it names", ErrDamaged, voter)
	}
	return nil
}

// verifySnapshot reads the newest snapshot, and returns its index; 0: there is none.
func (d *disk) verifySnapshot(voter raft.ServerID) (uint64, error) {
	found, err := d.snapshots.List()
	if err != nil || len(found) == 0 {
		return 0, err
	}
	newest := found[0]
	where := filepath.Join(d.directory, "snapshots", newest.ID)
	_, source, err := d.snapshots.Open(newest.ID)
	if err != nil {
		return 0, fmt.Errorf("%w: %s: %w", ErrDamaged, where, err)
	}
	defer source.Close()
	text, err := io.ReadAll(source)
	var i image
	if err == nil {
		i, err = decodeImage(text)
	}
	if err == nil {
		err = verifyVoters(newest.Configuration, voter)
	}
	if err != nil {
		return 0, fmt.Errorf("%s: %w", where, err)
	}
	d.replay.snapshot = &readImage{text, i}
	return newest.Index, nil
}
