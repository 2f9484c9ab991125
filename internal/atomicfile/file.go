package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// TemporaryPrefix begins the names of files that are being written, and of those that a crash has left; they lie
// beside the file that they were to be.
const TemporaryPrefix = ".new-"

// Write writes a file whole or not at all, in the place of one that is there, and returns when it is on the disk.
// Nobody else can read it before it has its mode.
func Write(path string, content []byte, mode fs.FileMode) error {
	directory := filepath.Dir(path)
	file, err := os.CreateTemp(directory, TemporaryPrefix+"*") // mode 0600
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	err = errors.Join(err, file.Chmod(mode), file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return SyncDirectory(directory)
}

// SyncDirectory returns when the names of a directory are on the disk, as they are now.
func SyncDirectory(path string) error {
	directory, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(directory.Sync(), directory.Close())
}
