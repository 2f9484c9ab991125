package launcher

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// MakeFolder makes a folder of a run directory for what jobs write, if it is not there. Slurm opens files by their names, and appends to
// them as this user: a folder in which somebody else could put links of these names is an error.
func MakeFolder(path string) error {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return err
	}
	for _, look := range []func(string) (fs.FileInfo, error){os.Lstat, os.Stat} { // a link of ours to a folder of ours may be meant
		info, err := look(path)
		if err != nil {
			return err
		}
		if owner, uid := info.Sys().(*syscall.Stat_t).Uid, os.Getuid(); int(owner) != uid {
			return fmt.Errorf("%s belongs to user %d, not to you (%d), who could have what jobs write go elsewhere; remove it, or take another run directory (--dir)", path, owner, uid)
		}
	}
	for _, folder := range []string{path, filepath.Dir(path)} {
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
