package harvest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sublet-hpc/sublet/internal/atomicfile"
	"github.com/sublet-hpc/sublet/slurm"
)

// File is the state file of a run directory, harvest.json.
type File struct {
	Version int `json:"version"`
	// Host and PID are of the harvester that has written it.
	Host    string    `json:"host"`
	PID     int       `json:"pid"`
	Started time.Time `json:"started"`
	Policy  Policy    `json:"policy"`
	State   State     `json:"state"`
	// Limit says why no more nodes are used, Error what was wrong with the last look; both may be empty.
	Limit string `json:"limit,omitempty"`
	Error string `json:"error,omitempty"`
	// Calls are those of Slurm's commands since the harvester was started.
	Calls slurm.Counters `json:"calls,omitempty"`
}

const (
	fileVersion = 1
	fileName    = "harvest.json"
	lockName    = "harvest.lock"
	// maxFile is the most that the file can have, in bytes.
	maxFile = 64 << 20
)

// ErrNotHarvested says that no harvester ever ran for a run directory.
var ErrNotHarvested = errors.New("nothing was ever harvested for this run directory")

// Read reads a run directory's state file. Where there is none the error is ErrNotHarvested.
func Read(directory string) (File, error) {
	path := filepath.Join(directory, fileName)
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0) // a pipe would be waited for
	if errors.Is(err, fs.ErrNotExist) {
		return File{State: NewState()}, ErrNotHarvested
	}
	if err != nil {
		return File{}, fmt.Errorf("harvest: %w", err)
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxFile))
	if err != nil {
		return File{}, fmt.Errorf("harvest: %w", err)
	}
	read := File{}
	if err := json.Unmarshal(text, &read); err != nil {
		return File{}, fmt.Errorf("harvest: %s can not be read: %w; remove it: jobs of ours are found in the queue by their names", path, err)
	}
	if read.Version != fileVersion {
		return File{}, fmt.Errorf("harvest: %s has version %d, this program understands %d; use one version of Sublet everywhere", path, read.Version, fileVersion)
	}
	read.State.complete()
	return read, nil
}

// write writes the state file, whole or not at all.
func (f File) write(directory string) error {
	text, err := json.MarshalIndent(f, "", "  ")
	if err == nil {
		err = atomicfile.Write(filepath.Join(directory, fileName), append(text, '\n'), 0o600)
	}
	if err != nil {
		return fmt.Errorf("harvest: writing %s: %w", filepath.Join(directory, fileName), err)
	}
	return nil
}

// lock makes a run directory this harvester's, until the file is closed, or says whose it is.
func lock(directory, self string) (*os.File, error) {
	path := filepath.Join(directory, lockName)
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o600)
	if err != nil {
		return nil, fmt.Errorf("harvest: the run directory: %w", err)
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		who, _ := io.ReadAll(io.LimitReader(file, 1<<10)) // for people
		file.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("a harvester runs already for %s: %s; end it, or name another run directory with --dir", directory, orSomebody(strings.TrimSpace(string(who))))
		}
		return nil, fmt.Errorf("harvest: locking %s: %w; two harvesters could not be told apart there: put the run directory on a file system with locks", path, err)
	}
	if err := file.Truncate(0); err == nil {
		_, _ = file.WriteAt([]byte(self+"\n"), 0) // for people; where the disk is full nodes can be given back all the same
	}
	return file, nil
}

// Running tells whether a harvester runs for a run directory.
func Running(directory string) bool {
	file, err := os.OpenFile(filepath.Join(directory, lockName), os.O_RDWR|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0) // a lock over NFS needs one that can be written
	if err != nil {
		return false
	}
	defer file.Close()
	return errors.Is(unix.Flock(int(file.Fd()), unix.LOCK_SH|unix.LOCK_NB), unix.EWOULDBLOCK)
}

func orSomebody(who string) string {
	if who == "" {
		return "another process"
	}
	return who
}
