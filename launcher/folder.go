package launcher

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// MakeFolder makes a folder of a run directory for what jobs write, if it is not there. Slurm opens files by their names, and appends to
// them as this user: a folder in which somebody else could put links of these names is an error.
func MakeFolder(path string) error {
	directory := filepath.Dir(path)
	if err := os.MkdirAll(directory, 0o700); err != nil {
		return err
	}
	if err := checkOwner(directory, os.Stat); err != nil { // root would leave there what its user can not remove
		return err
	}
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	for _, look := range []func(string) (fs.FileInfo, error){os.Lstat, os.Stat} { // a link of ours to a folder of ours may be meant
		if err := checkOwner(path, look); err != nil {
			return err
		}
	}
	for _, folder := range []string{path, directory} {
		info, err := os.Stat(folder)
		if err != nil {
			return err
		}
		const others = 0o002
		if info.Mode()&others != 0 && info.Mode()&fs.ModeSticky == 0 {
			return fmt.Errorf("everybody can write to %s, and have what jobs write go elsewhere: chmod o-w %s, or take another run directory (--dir)", folder, folder)
		}
	}
	return nil
}

// checkOwner refuses what is another user's.
func checkOwner(path string, look func(string) (fs.FileInfo, error)) error {
	info, err := look(path)
	if err != nil {
		return err
	}
	if owner, uid := info.Sys().(*syscall.Stat_t).Uid, os.Getuid(); int(owner) != uid {
		return fmt.Errorf("%s belongs to user %d, not to you (%d); what jobs write is to be in folders of yours: take another run directory (--dir)", path, owner, uid)
	}
	return nil
}
