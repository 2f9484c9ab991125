package replica

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// Place is where a ledger lies.
type Place struct {
	// Directory is the data directory. A directory that is not there is made.
	Directory string
	// Copy is a file that has a copy of the ledger, a few seconds old at most, where the data directory is not
	// in the run directory; else empty. Where there is no data directory, the ledger is taken up from it.
	Copy string
	// On says what kind of file system the data directory is on, for people.
	On string
}

const (
	directoryName = "ledger"
	copyName      = "ledger.copy"
)

// chooser finds a place; its fields are the machine's, but in tests.
type chooser struct {
	fileSystem func(path string) (fileSystem, error)
	variables  func(string) string
	disk       string // for what is to outlast a boot
	memory     string
	uid        int
}

// Choose finds the place for the ledger of a run directory. A directory that somebody has named must be on a
// file system of this host. Otherwise it is the run directory itself if that is on one, or else a directory of
// this host's disk or memory, with a copy in the run directory.
func Choose(runDirectory, named string) (Place, error) {
	return chooser{fileSystem: fileSystemOf, variables: os.Getenv, disk: "/var/tmp", memory: "/dev/shm", uid: os.Getuid()}.choose(runDirectory, named)
}

func (c chooser) choose(runDirectory, named string) (Place, error) {
	run, err := c.fileSystem(runDirectory)
	if err != nil {
		return Place{}, err
	}
	if named != "" {
		return c.named(runDirectory, named, run)
	}
	if run.class != shared {
		return Place{Directory: filepath.Join(runDirectory, directoryName), On: run.name}, nil
	}
	key, err := keyOf(runDirectory)
	if err != nil {
		return Place{}, err
	}
	base, on, err := c.local()
	if err != nil {
		return Place{}, fmt.Errorf("the run directory %s is on %s, where no ledger can be: %w; name a directory with --data", runDirectory, run.name, err)
	}
	if err := private(base, c.uid); err != nil {
		return Place{}, err
	}
	return Place{Directory: filepath.Join(base, key), Copy: filepath.Join(runDirectory, copyName), On: on}, nil
}

// named is the place that somebody wants.
func (c chooser) named(runDirectory, named string, run fileSystem) (Place, error) {
	absolute, err := filepath.Abs(named)
	if err != nil {
		return Place{}, fmt.Errorf("the data directory: %w", err)
	}
	on, err := c.fileSystem(absolute)
	if err != nil {
		return Place{}, err
	}
	place := Place{Directory: absolute, On: on.name}
	switch {
	case on.class == shared:
		return Place{}, fmt.Errorf("the data directory %s is on %s: what is flushed and locked there does not stay so when a server or the network fails, and a ledger could lose what it has granted; name a directory on a disk of this host with --data, or leave it out: then a local one is found, with copies in the run directory", named, on.name)
	case on.class == memory && run.class != memory:
		place.Copy = filepath.Join(runDirectory, copyName)
	}
	return place, nil
}

// local is where this host keeps state: on a disk if it has one, else in memory.
func (c chooser) local() (base, on string, err error) {
	mine := "sublet-" + strconv.Itoa(c.uid)
	candidates := []string{filepath.Join(c.disk, mine)}
	wanted := []class{disked}
	if runtime := c.variables("XDG_RUNTIME_DIR"); runtime != "" {
		candidates, wanted = append(candidates, filepath.Join(runtime, "sublet")), append(wanted, memory)
	}
	candidates, wanted = append(candidates, filepath.Join(c.memory, mine)), append(wanted, memory)
	var errs []error
	for i, candidate := range candidates {
		found, err := c.fileSystem(candidate)
		switch {
		case err != nil:
			errs = append(errs, err)
		case found.class == wanted[i]:
			return candidate, found.name, nil
		default:
			errs = append(errs, fmt.Errorf("%s is on %s", candidate, found.name))
		}
	}
	return "", "", errors.Join(errs...)
}

// keyOf is a name for a run directory's state among others, which stays the same.
func keyOf(runDirectory string) (string, error) {
	resolved, err := filepath.EvalSymlinks(runDirectory)
	if err != nil {
		return "", fmt.Errorf("the run directory: %w", err)
	}
	sum := sha256.Sum256([]byte(resolved))
	return filepath.Base(resolved) + "-" + hex.EncodeToString(sum[:6]), nil
}

// private makes a directory that is a user's alone, in a place where anybody can make some.
func private(path string, uid int) error {
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("a directory for the ledger: %w", err)
	}
	info, err := os.Lstat(path)
	if err != nil {
		return fmt.Errorf("a directory for the ledger: %w", err)
	}
	if owner := int(info.Sys().(*syscall.Stat_t).Uid); !info.IsDir() || owner != uid || info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("%s has mode %v and belongs to user %d; it must be a directory that is yours alone: remove it, or name another with --data", path, info.Mode(), owner)
	}
	return nil
}
