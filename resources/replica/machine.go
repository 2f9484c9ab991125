package replica

import (
	"fmt"
	"io"
	"sync"

	"github.com/hashicorp/raft"

	"github.com/sublet-hpc/sublet/resources/ledger"
)

// machine is the ledger as raft sees it: the state that all committed entries have made.
type machine struct {
	// committed is told of each entry once it is part of the state: of a mark's revision, or of a command.
	// It is called from raft's own goroutine, and must not wait for raft.
	committed func(revision uint64, mark bool)
	// failed is told why no further entry can be applied.
	failed func(error)
	// replay has what was read before.
	replay *replay

	mu       sync.Mutex
	revision uint64
	state    *ledger.State
	err      error
}

func newMachine() *machine { return &machine{state: ledger.New(), replay: &replay{}} }

// Apply applies one entry.
func (m *machine) Apply(log *raft.Log) any { return m.ApplyBatch([]*raft.Log{log})[0] }

// ApplyBatch applies entries in their order. What an entry's command answers was told when it was
// proposed; here is nobody to answer.
func (m *machine) ApplyBatch(logs []*raft.Log) []any {
	for _, log := range logs {
		if log.Type == raft.LogCommand {
			m.apply(log)
		}
	}
	return make([]any, len(logs))
}

func (m *machine) apply(log *raft.Log) {
	e, err := m.replay.entry(log)
	m.mu.Lock()
	if m.err != nil {
		m.mu.Unlock()
		return
	}
	switch {
	case err != nil:
	case e.command == nil:
	case e.revision != m.revision+1:
		// It was decided on by another state than this, of a leader that did not know yet that it is none.
		m.mu.Unlock()
		return
	default:
		if _, err = ledger.Apply(m.state, e.command); err != nil {
			err = fmt.Errorf("%w: revision %d, a %T, was refused (%w), and was not when it was written", ErrDamaged, e.revision, e.command, err)
		}
		m.revision = e.revision
	}
	if err != nil {
		m.err = fmt.Errorf("entry %d of the log: %w", log.Index, err)
		err = m.err
	}
	m.mu.Unlock()
	if err != nil {
		m.failed(err)
		return
	}
	m.committed(e.revision, e.command == nil)
}

// image is a copy of the state.
func (m *machine) image() image {
	m.mu.Lock()
	defer m.mu.Unlock()
	return image{Revision: m.revision, State: m.state.Clone()}
}

// Snapshot copies the state.
func (m *machine) Snapshot() (raft.FSMSnapshot, error) {
	return snapshot{m.image()}, nil
}

// Restore replaces the state.
func (m *machine) Restore(source io.ReadCloser) error {
	defer source.Close()
	text, err := io.ReadAll(source)
	if err != nil {
		return fmt.Errorf("reading a snapshot: %w", err)
	}
	i, err := m.replay.image(text)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.state, m.revision = i.State, i.Revision
	return nil
}

// snapshot is an image on its way to the disk.
type snapshot struct{ image image }

func (s snapshot) Persist(sink raft.SnapshotSink) error {
	text, err := s.image.encode()
	if err == nil {
		_, err = sink.Write(text)
	}
	if err != nil {
		_ = sink.Cancel()
		return err
	}
	return sink.Close()
}

func (snapshot) Release() {}
