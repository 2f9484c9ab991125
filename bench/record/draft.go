package record

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Draft is where a run is going to be saved. It is made before anything is measured, so that what is
// wrong with the place is known then, and not when the samples are there.
type Draft struct {
	file *os.File
	path string
}

// NewDraft makes one for a path, at which nothing changes until the run is saved. What is there already is
// replaced if it is a file.
func NewDraft(path string) (*Draft, error) {
	info, err := os.Stat(path)
	switch {
	case err == nil && !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s: it is there already, and is no file", path)
	case err == nil:
		if path, err = filepath.EvalSymlinks(path); err != nil {
			return nil, err
		}
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return nil, err
	}
	return &Draft{file, path}, nil
}

// Save writes the run, whole or not at all.
func (d *Draft) Save(r *Run) error {
	err := errors.Join(r.Write(d.file), d.file.Chmod(0o644), d.file.Close())
	if err == nil {
		err = os.Rename(d.file.Name(), d.path)
	}
	if err != nil {
		_ = os.Remove(d.file.Name())
		return fmt.Errorf("%s: %w", d.path, err)
	}
	return nil
}

// Discard leaves nothing behind. After Save it does nothing.
func (d *Draft) Discard() {
	if d.file.Close() == nil {
		_ = os.Remove(d.file.Name())
	}
}

// Save writes the run to a file, whole or not at all.
func (r *Run) Save(path string) error {
	draft, err := NewDraft(path)
	if err != nil {
		return err
	}
	return draft.Save(r)
}
