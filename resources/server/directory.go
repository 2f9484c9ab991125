package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sublet-hpc/sublet/resources/api"
)

// directory is the run directory of a running resource manager.
//
//	ours/lock          locked as long as we live
//	ours/access.json   address, pin and tokens, removed at a clean end
//	ours/ledger        the ledger, or ours/ledger.copy where it can not be here
//	~/.sublet/current  link to ours, if nobody named a directory
type directory struct {
	path   string
	made   bool   // by us, for this run alone
	link   string // that points here, may be empty
	lock   *os.File
	access api.AccessFile
}

// takeDirectory makes a directory this resource manager's, or says whose it is.
func takeDirectory(path string) (*directory, error) {
	d := &directory{path: path}
	if d.path == "" {
		d.path = os.Getenv(api.DirectoryVariable)
	}
	if d.path == "" {
		if err := d.choose(); err != nil {
			return nil, err
		}
	}
	absolute, err := filepath.Abs(d.path)
	if err != nil {
		return nil, fmt.Errorf("resource manager: the run directory: %w", err)
	}
	d.path = absolute
	if err := os.MkdirAll(d.path, 0o700); err != nil {
		return nil, fmt.Errorf("resource manager: the run directory: %w", err)
	}
	if err := ours(d.path); err != nil {
		return nil, err
	}
	if err := d.takeLock(); err != nil {
		return nil, err
	}
	if err := unused(d.path); err != nil {
		d.lock.Close()
		return nil, err
	}
	return d, nil
}

// ours refuses a directory in which another user could put, or exchange, what we go by.
func ours(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("resource manager: the run directory: %w", err)
	}
	owner := int(info.Sys().(*syscall.Stat_t).Uid)
	if owner != os.Getuid() {
		return fmt.Errorf("resource manager: the run directory %s belongs to user %d, not to you (%d), who could exchange what is in it; name one of your own with --dir", path, owner, os.Getuid())
	}
	if info.Mode().Perm()&0o002 != 0 {
		return fmt.Errorf("resource manager: the run directory %s can be written by everybody, who could exchange what is in it: chmod o-w %s, or name another with --dir", path, path)
	}
	return nil
}

// choose names a new directory, unless the current one is in use.
func (d *directory) choose() error {
	home, err := api.Home()
	if err != nil {
		return err
	}
	d.link = filepath.Join(home, api.Current)
	if err := unused(d.link); err != nil {
		return err
	}
	host, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("resource manager: the name of this host: %w", err)
	}
	d.made = true
	d.path = filepath.Join(home, host+"."+strconv.Itoa(os.Getpid()))
	return nil
}

// unused fails if a resource manager of this run directory answers.
func unused(path string) error {
	access, err := api.ReadAccess(path)
	if errors.Is(err, api.ErrNoResourceManager) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("resource manager: %w", err)
	}
	client, err := api.Open(path)
	if err != nil {
		return fmt.Errorf("resource manager: %w", err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	_, err = client.Nodes(ctx, "none")
	if err == nil || errors.As(err, new(*api.Error)) { // who refuses is there as well
		return fmt.Errorf("a resource manager runs already for %s: process %d on %s, %s; use it, end it, or name another directory with --dir", path, access.PID, access.Host, access.URL)
	}
	return nil // what it was has ended without a word
}

// takeLock keeps out a second one that starts at the same time.
func (d *directory) takeLock() error {
	lock, err := os.OpenFile(filepath.Join(d.path, "lock"), os.O_CREATE|os.O_RDWR|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o600)
	if err != nil {
		return fmt.Errorf("resource manager: the run directory: %w", err)
	}
	err = unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	switch {
	case err == nil:
	case errors.Is(err, unix.EWOULDBLOCK):
		lock.Close()
		who := "another process"
		if access, err := api.ReadAccess(d.path); err == nil {
			who = fmt.Sprintf("process %d on %s, %s", access.PID, access.Host, access.URL)
		}
		return fmt.Errorf("a resource manager runs already for %s: %s; use it, end it, or name another directory with --dir", d.path, who)
	case errors.Is(err, unix.ENOTSUP), errors.Is(err, unix.ENOSYS), errors.Is(err, unix.ENOLCK):
		// A file system without locks; whoever answers is noticed all the same.
	default:
		lock.Close()
		return fmt.Errorf("resource manager: locking the run directory %s: %w", d.path, err)
	}
	d.lock = lock
	return nil
}

// publish writes access.json, and moves the link here.
func (d *directory) publish(access api.AccessFile) error {
	d.access = access
	if err := api.WriteAccess(d.path, access); err != nil {
		return fmt.Errorf("resource manager: %w", err)
	}
	if d.link == "" {
		return nil
	}
	fresh := d.link + "." + filepath.Base(d.path)
	_ = os.Remove(fresh) // of one that had our number, in a container, and was killed here
	err := os.Symlink(filepath.Base(d.path), fresh)
	if err == nil {
		err = os.Rename(fresh, d.link)
	}
	if err != nil {
		return fmt.Errorf("resource manager: the link %s: %w", d.link, err)
	}
	return nil
}

// leave is withdraw and remove.
func (d *directory) leave() error { return errors.Join(d.withdraw(), d.remove()) }

// withdraw removes what says that somebody is here, unless it is another by now.
func (d *directory) withdraw() error {
	var errs []error
	if access, err := api.ReadAccess(d.path); err == nil && access == d.access {
		errs = append(errs, api.RemoveAccess(d.path))
	}
	if d.made {
		if target, err := os.Readlink(d.link); err == nil && target == filepath.Base(d.path) {
			errs = append(errs, os.Remove(d.link))
		}
	}
	return leaving(errs)
}

// remove lets go of the directory, and removes what was made for this run.
func (d *directory) remove() error {
	defer d.lock.Close()
	if !d.made {
		return nil
	}
	return leaving([]error{os.RemoveAll(d.path)})
}

func leaving(errs []error) error {
	if err := errors.Join(errs...); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("resource manager: leaving the run directory: %w", err)
	}
	return nil
}
