package replica

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/hashicorp/raft"

	"github.com/sublet-hpc/sublet/internal/atomicfile"
)

// copied is what the run directory's copy of a ledger says, in its first line; the image is behind it.
type copied struct {
	Format int    `json:"format"`
	ID     string `json:"id"`
	// Host had the ledger last.
	Host string `json:"host"`

	image []byte
}

// copyInterval is how old a copy can be.
const copyInterval = 5 * time.Second

// readCopy reads the copy of a place; nil: there is none.
func (p Place) readCopy() (*copied, error) {
	if p.Copy == "" {
		return nil, nil
	}
	text, err := os.ReadFile(p.Copy)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	line, rest, _ := bytes.Cut(text, []byte("\n"))
	var kept copied
	if err := json.Unmarshal(line, &kept); err != nil {
		return nil, fmt.Errorf("%w: %s does not begin as a copy of a ledger; move it away to do without", ErrDamaged, p.Copy)
	}
	if kept.Format != format {
		return nil, fmt.Errorf("%w: %s has format %d, this program reads %d; start the version of Sublet that wrote it", ErrVersion, p.Copy, kept.Format, format)
	}
	if _, err := decodeImage(rest); err != nil || kept.ID == "" {
		return nil, fmt.Errorf("%s: %w; move it away to do without", p.Copy, errors.Join(err, ErrDamaged))
	}
	kept.image = rest
	return &kept, nil
}

// takeUp begins a ledger with the state of its copy.
func (r *Replica) takeUp(kept *copied) error {
	if r.id.Begun || kept == nil {
		return nil
	}
	if found, err := r.disk.snapshots.List(); err != nil || len(found) > 0 {
		return err // it was taken up, and then we were killed
	}
	address, transport := raft.NewInmemTransport("")
	voters := raft.Configuration{Servers: []raft.Server{{Suffrage: raft.Voter, ID: raft.ServerID(r.id.ID), Address: address}}}
	sink, err := r.disk.snapshots.Create(raft.SnapshotVersionMax, 1, 1, voters, 1, transport)
	if err != nil {
		return err
	}
	if _, err := sink.Write(kept.image); err != nil {
		return errors.Join(err, sink.Cancel())
	}
	if err := sink.Close(); err != nil {
		return err
	}
	r.log.Info("the ledger is taken up from its copy", "copy", r.place.Copy, "host", kept.Host)
	return r.disk.SetUint64([]byte(currentTerm), 1) // of the snapshot
}

// copyOut writes the copy, if it is not what it was.
func (r *Replica) copyOut() error {
	r.copying.Lock()
	defer r.copying.Unlock()
	i := r.machine.image()
	if r.hasCopied && r.copiedRevision == i.Revision {
		return nil
	}
	text, err := json.Marshal(copied{Format: format, ID: r.id.ID, Host: hostname()})
	if err != nil {
		return err
	}
	body, err := i.encode()
	if err != nil {
		return err
	}
	if err := atomicfile.Write(r.place.Copy, append(append(text, '\n'), body...), 0o600); err != nil {
		return fmt.Errorf("the copy of the ledger: %w", err)
	}
	r.hasCopied, r.copiedRevision = true, i.Revision
	return nil
}

// keepCopy keeps the copy up to date.
func (r *Replica) keepCopy() {
	ticker := time.NewTicker(copyInterval)
	defer ticker.Stop()
	for told := false; ; {
		select {
		case <-ticker.C:
		case <-r.ending:
			return
		}
		err := r.copyOut()
		if err != nil && !told {
			r.log.Warn("the copy of the ledger is out of date; if this host's memory or disk is lost, so is what has changed since", "error", err)
		}
		told = err != nil
	}
}
