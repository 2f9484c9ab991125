package atomicfile

import (
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// Place is where a path leads that a user names for an output and that stands for no descriptor.
type Place struct {
	Path string // of the file, where links lead to it
	// AsItIs says that it is a device or a pipe, which is written to and not replaced.
	AsItIs bool
	exists bool        // there is a file
	mode   fs.FileMode // its
}

// Find finds the place. A directory is EISDIR.
func Find(path string) (Place, error) {
	target, err := filepath.EvalSymlinks(path) // the file is to be replaced, not the link to it
	if err != nil {
		target = path // it is to be made, or making it says why it can not be
	}
	p := Place{Path: target}
	if info, err := os.Stat(target); err == nil {
		if info.IsDir() {
			return Place{}, &os.PathError{Op: "open", Path: path, Err: unix.EISDIR}
		}
		p.AsItIs, p.exists, p.mode = !info.Mode().IsRegular(), true, info.Mode().Perm()
	}
	return p, nil
}

// Draft is a name beside the place, of no file, for what takes the place when it is whole.
func (p Place) Draft() string {
	directory, name := filepath.Split(p.Path)
	return directory + TemporaryPrefix + name + "-" + strconv.FormatUint(rand.Uint64(), 36)
}

// Begin makes the file of a draft, with the mode of the file that it is going to replace.
func (p Place) Begin(draft string) (*os.File, error) {
	file, err := os.OpenFile(draft, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil || !p.exists {
		return file, err
	}
	if err := file.Chmod(p.mode); err != nil {
		file.Close()
		os.Remove(draft)
		return nil, err
	}
	return file, nil
}
