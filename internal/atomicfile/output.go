package atomicfile

import (
	"errors"
	"os"
)

// Output is what a user has named to be written to:
//
//	Create ── Write … ── Commit ──▶ there, whole
//	             └────── Discard ─▶ what was there before
//
// A descriptor of the process, a device and a pipe are written to as they are.
type Output struct {
	file  *os.File
	named string // by the user
	path  string // that the draft is going to have; empty: there is no draft
}

// Create begins an output. What is at the path stays until Commit. Errors are *os.PathError with the path as it was given.
func Create(path string) (*Output, error) {
	if file, err := OpenDescriptor(path); err != nil {
		return nil, err
	} else if file != nil {
		return &Output{file: file, named: path}, nil
	}
	place, err := Find(path)
	if err != nil {
		return nil, err
	}
	o := &Output{named: path}
	if place.AsItIs {
		o.file, err = os.OpenFile(place.Path, os.O_WRONLY, 0)
	} else {
		o.path = place.Path
		o.file, err = place.Begin(place.Draft())
	}
	if err != nil {
		return nil, o.explain(err)
	}
	return o, nil
}

// Write writes behind what was written before.
func (o *Output) Write(p []byte) (int, error) {
	n, err := o.file.Write(p)
	return n, o.explain(err)
}

// Commit ends the writing: a file is on the disk then, and in its place. If it fails nothing has changed.
func (o *Output) Commit() error {
	if o.path == "" {
		return o.explain(o.file.Close())
	}
	err := errors.Join(o.file.Sync(), o.file.Close())
	if err == nil {
		err = os.Rename(o.file.Name(), o.path)
	}
	if err != nil {
		os.Remove(o.file.Name())
	}
	return o.explain(err)
}

// Discard leaves what was there before. After Commit it does nothing.
func (o *Output) Discard() {
	if o.file.Close() == nil && o.path != "" {
		os.Remove(o.file.Name())
	}
}

// explain has an error name the path that was asked for, rather than that of the draft.
func (o *Output) explain(err error) error {
	var path *os.PathError
	var link *os.LinkError
	switch {
	case errors.As(err, &path):
		return &os.PathError{Op: path.Op, Path: o.named, Err: path.Err}
	case errors.As(err, &link):
		return &os.PathError{Op: link.Op, Path: o.named, Err: link.Err}
	}
	return err
}
