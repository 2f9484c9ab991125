package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"syscall"
)

// DirectoryVariable names the run directory in the environment.
const DirectoryVariable = "SUBLET_DIR"

// AccessVersion is the version of access.json. That of 1 had neither pin nor roles.
const AccessVersion = 2

// AccessFile is the run directory's access.json: how to reach its resource manager, and by what
// right. It has mode 0600; to be able to read it is the right, to what its tokens are for.
type AccessFile struct {
	Version int    `json:"version"`
	URL     string `json:"url"`
	// Pin is that of the resource manager's key.
	Pin    Pin    `json:"pin"`
	Tokens Tokens `json:"tokens"`
	// Host and PID are where it runs, for people.
	Host string `json:"host"`
	PID  int    `json:"pid"`
}

// ErrNoResourceManager says that there is no run directory with a resource manager.
var ErrNoResourceManager = errors.New("no resource manager")

// Home is the directory of run directories, ~/.sublet.
func Home() (string, error) {
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("finding ~/.sublet: %w; set %s to the run directory", err, DirectoryVariable)
	}
	return filepath.Join(home, ".sublet"), nil
}

// Current is the link in Home to the run directory of the resource manager started last.
const Current = "current"

// Directory is the run directory that is meant where none is named: SUBLET_DIR's, else ~/.sublet/current.
func Directory() (string, error) {
	if dir := os.Getenv(DirectoryVariable); dir != "" {
		return dir, nil
	}
	home, err := Home()
	if err != nil {
		return "", err
	}
	return filepath.Join(home, Current), nil
}

func accessPath(dir string) string { return filepath.Join(dir, "access.json") }

// maxAccessFile is the most that a file of ours can have.
const maxAccessFile = 64 << 10

// ReadAccess reads a run directory's access.json. Where there is none the error is
// ErrNoResourceManager. One that others could have written, or can read, is refused.
func ReadAccess(dir string) (AccessFile, error) {
	var access AccessFile
	path := accessPath(dir)
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return access, fmt.Errorf("%w: there is no %s; start one: sublet resource-manager", ErrNoResourceManager, path)
	}
	if errors.Is(err, fs.ErrPermission) { // as in the home directory of another user, whose HOME su and sudo may leave
		return access, fmt.Errorf("the run directory: %w; set HOME to your home directory, or %s to a directory of yours", err, DirectoryVariable)
	}
	if err != nil {
		return access, fmt.Errorf("the run directory: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return access, fmt.Errorf("the run directory: %w", err)
	}
	if owner := info.Sys().(*syscall.Stat_t).Uid; int(owner) != os.Getuid() {
		return access, fmt.Errorf("%s belongs to user %d, not to you (%d); a resource manager serves one user", path, owner, os.Getuid())
	}
	if !info.Mode().IsRegular() || info.Mode().Perm()&0o077 != 0 {
		return access, fmt.Errorf("%s has mode %v, and must be a file that only you can read, for it holds a secret: chmod 600 %s. If others have read it, have its resource manager make new keys: stop it, remove keys.json beside its ledger, and start it again", path, info.Mode(), path)
	}
	text, err := io.ReadAll(io.LimitReader(file, maxAccessFile))
	if err != nil {
		return access, fmt.Errorf("the run directory: %w", err)
	}
	if err := json.Unmarshal(text, &access); err != nil {
		return access, fmt.Errorf("%s is not a file of Sublet's: %w", path, err)
	}
	if access.Version < AccessVersion {
		return access, Because(ErrVersion, "%s has version %d, of a resource manager that does not encrypt; stop that, or remove the file if it is no more, and start one of this version: its file has version %d", path, access.Version, AccessVersion)
	}
	if access.Version != AccessVersion {
		return access, Because(ErrVersion, "%s has version %d, this program understands %d; use one version of Sublet everywhere", path, access.Version, AccessVersion)
	}
	if err := access.check(); err != nil {
		return access, fmt.Errorf("%s: %w; start its resource manager again, which writes it anew", path, err)
	}
	return access, nil
}

// check refuses what would have a token sent to somebody, or in clear.
func (a AccessFile) check() error {
	u, err := url.Parse(a.URL)
	switch {
	case err != nil:
		return err
	case u.Scheme != "https" || u.Host == "":
		return fmt.Errorf("its url is %q, which is not that of a resource manager: https://HOST:PORT", a.URL)
	case len(a.Tokens.Roles()) == 0:
		return errors.New("it has no token")
	}
	return a.Pin.Check()
}

// WriteAccess writes a run directory's access.json, whole or not at all.
func WriteAccess(dir string, access AccessFile) error {
	text, err := json.MarshalIndent(access, "", "  ")
	if err != nil {
		return err
	}
	file, err := os.CreateTemp(dir, ".access-*") // mode 0600
	if err != nil {
		return fmt.Errorf("writing access.json: %w", err)
	}
	_, err = file.Write(append(text, '\n'))
	err = errors.Join(err, file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), accessPath(dir))
	}
	if err != nil {
		os.Remove(file.Name())
		return fmt.Errorf("writing access.json: %w", err)
	}
	return nil
}

// RemoveAccess removes a run directory's access.json.
func RemoveAccess(dir string) error { return os.Remove(accessPath(dir)) }
