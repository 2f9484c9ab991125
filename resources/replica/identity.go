package replica

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/sublet-hpc/sublet/internal/atomicfile"
)

// identity is a data directory's ledger.json.
type identity struct {
	// Format of the directory.
	Format int `json:"format"`
	// ID of the ledger's voter.
	ID string `json:"id"`
	// Begun: there has been a log. Before, nobody was answered.
	Begun bool `json:"begun"`
}

const (
	format       = 1
	identityName = "ledger.json"
	ownerName    = "owner"
)

// identify says what a data directory is; one that is not there, or is empty, begins a ledger.
func (p Place) identify(log *slog.Logger) (identity, *copied, error) {
	kept, err := p.readCopy()
	if err != nil {
		return identity{}, nil, err
	}
	if err := os.MkdirAll(p.Directory, 0o700); err != nil {
		return identity{}, nil, err
	}
	id, err := p.readIdentity()
	if errors.Is(err, fs.ErrNotExist) {
		return p.beginning(kept)
	}
	if err != nil {
		return identity{}, nil, err
	}
	if kept != nil && kept.Host != hostname() {
		// Another host has gone on with the ledger: what is here is of before.
		aside, err := moveAside(p.Directory)
		if err != nil {
			return identity{}, nil, err
		}
		log.Warn("the ledger was on another host since; what is here of it is put aside", "host", kept.Host, "aside", aside)
		if err := os.MkdirAll(p.Directory, 0o700); err != nil {
			return identity{}, nil, err
		}
		return p.beginning(kept)
	}
	if id.Begun {
		path := filepath.Join(p.Directory, logName)
		if info, err := os.Stat(path); err != nil || info.Size() == 0 {
			return identity{}, nil, explain(path, fmt.Errorf("%w: it is missing or empty", ErrDamaged))
		}
	}
	return id, kept, nil
}

func (p Place) readIdentity() (id identity, err error) {
	path := filepath.Join(p.Directory, identityName)
	text, err := os.ReadFile(path)
	if err != nil {
		return id, err
	}
	var written struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(text, &written); err != nil {
		return id, fmt.Errorf("%w: %s: %w", ErrDamaged, path, err)
	}
	if written.Format != format {
		return id, fmt.Errorf("%w: %s has format %d, this program reads %d; start the version of Sublet that wrote it", ErrVersion, path, written.Format, format)
	}
	if err := readStrictly(text, &id); err != nil || id.ID == "" {
		return id, fmt.Errorf("%w: %s: %w", ErrDamaged, path, errors.Join(err, errors.New("it does not say whose log this is")))
	}
	return id, nil
}

// beginning makes the identity of a ledger that begins here, anew or from a copy.
func (p Place) beginning(kept *copied) (identity, *copied, error) {
	found, err := os.ReadDir(p.Directory)
	if err != nil {
		return identity{}, nil, err
	}
	for _, entry := range found {
		if !strings.HasPrefix(entry.Name(), atomicfile.TemporaryPrefix) {
			return identity{}, nil, fmt.Errorf("it has %s and other things, but no %s, so it is no ledger's; name an empty directory", entry.Name(), identityName)
		}
	}
	id := identity{Format: format, ID: randomID()}
	if kept != nil {
		id.ID = kept.ID
	}
	return id, kept, id.write(p.Directory)
}

func randomID() string {
	id := make([]byte, 8)
	_, _ = rand.Read(id) // never fails
	return hex.EncodeToString(id)
}

func (id identity) write(directory string) error {
	text, err := json.Marshal(id)
	if err != nil {
		return err
	}
	return atomicfile.Write(filepath.Join(directory, identityName), append(text, '\n'), 0o600)
}

// hostname tells hosts apart; one that has no name is one.
func hostname() string {
	name, _ := os.Hostname()
	return name
}

// moveAside renames a directory.
func moveAside(directory string) (string, error) {
	for n := 1; ; n++ {
		aside := fmt.Sprintf("%s.old-%d", directory, n)
		if _, err := os.Lstat(aside); errors.Is(err, fs.ErrNotExist) {
			return aside, os.Rename(directory, aside)
		} else if err != nil {
			return "", err
		}
	}
}

// own says, for people, who has the directory. The lock is bbolt's.
func own(directory string) error {
	return atomicfile.Write(filepath.Join(directory, ownerName), fmt.Appendf(nil, "process %d on %s\n", os.Getpid(), hostname()), 0o600)
}

func owner(directory string) string {
	text, err := os.ReadFile(filepath.Join(directory, ownerName))
	if err != nil {
		return "another process"
	}
	return strings.TrimSpace(string(text))
}
