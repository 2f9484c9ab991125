package portfolio

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"syscall"

	"github.com/sublet-hpc/sublet/internal/atomicfile"
)

// Output is a file that is being written. It has another name until it is whole, so that under its
// own there is never half of one. Several ranks write to it at offsets of their own: one creates it,
// and the others join it by its temporary name.
//
// What is there already and is no regular file, as /dev/null or a pipe, is written to as it is, and so is
// what stands for a descriptor of the process, as /dev/stdout.
type Output struct {
	path      string
	temporary string // the same as path if it is written to as it is
	file      *os.File
	creator   bool
	guard     *guard // of a temporary file
	committed bool
	end       atomic.Int64 // of what Write has written
	written   atomic.Int64
	seekable  bool
}

// Create begins a file that is to have the name path. What had it before stays until Commit, which
// takes its place. Errors name path.
func Create(path string) (*Output, error) {
	if file, err := atomicfile.OpenDescriptor(path); err != nil {
		return nil, outputError(path, err)
	} else if file != nil {
		return &Output{path: path, temporary: path, file: file, creator: true}, nil
	}
	place, err := atomicfile.Find(path)
	switch {
	case errors.Is(err, syscall.EISDIR):
		return nil, fmt.Errorf("writing %s: it is a directory: name a file", path)
	case err != nil:
		return nil, outputError(path, err)
	case place.AsItIs:
		return attach(path, path, true)
	}
	draft := place.Draft()
	guard := newGuard(draft)
	file, err := place.Begin(draft)
	if err != nil {
		guard.leave()
		return nil, outputError(path, err)
	}
	return &Output{path: place.Path, temporary: draft, file: file, creator: true, guard: guard, seekable: true}, nil
}

// Join opens a file that another rank has created, to write to it as well. path is the name that it
// is to have, for errors.
func Join(temporary, path string) (*Output, error) { return attach(temporary, path, false) }

func attach(name, path string, creator bool) (*Output, error) {
	file, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		return nil, outputError(path, err)
	}
	info, err := file.Stat()
	if err != nil {
		return nil, errors.Join(outputError(path, err), file.Close())
	}
	return &Output{path: path, temporary: name, file: file, creator: creator, seekable: info.Mode().IsRegular()}, nil
}

// Temporary is the name by which other ranks join.
func (o *Output) Temporary() string { return o.temporary }

// Write writes behind what Write has written before. It is for one goroutine.
func (o *Output) Write(p []byte) (int, error) {
	n, err := o.WriteAt(p, o.end.Load())
	return n, err
}

// WriteAt writes p at an offset, from any goroutine. What is no regular file has no offsets, and is
// written in order, at each offset what comes next.
func (o *Output) WriteAt(p []byte, offset int64) (n int, err error) {
	if o.seekable {
		n, err = o.file.WriteAt(p, offset)
	} else {
		if end := o.end.Load(); offset != end {
			return 0, fmt.Errorf("writing %s: it is not a regular file, so one process has to write it from begin to end", o.path)
		}
		n, err = o.file.Write(p)
	}
	o.written.Add(int64(n))
	for end := o.end.Load(); offset+int64(n) > end; end = o.end.Load() {
		if o.end.CompareAndSwap(end, offset+int64(n)) {
			break
		}
	}
	if err != nil {
		return n, outputError(o.path, err)
	}
	return n, nil
}

// Written is how many bytes have been written through o, for a bar. It may be called at any time.
func (o *Output) Written() int64 { return o.written.Load() }

// Commit gives the file its name. Only who created it does that, after all who joined it have closed
// it without an error. It does not wait for the disk.
func (o *Output) Commit() error {
	if !o.creator {
		return fmt.Errorf("writing %s: it is committed by who created it", o.path)
	}
	defer o.guard.leave()
	if err := o.file.Close(); err != nil { // a network's file system may say only now that there is no room
		return errors.Join(outputError(o.path, err), o.remove())
	}
	if o.temporary != o.path {
		if err := os.Rename(o.temporary, o.path); err != nil {
			return errors.Join(outputError(o.path, err), o.remove())
		}
	}
	o.committed = true
	return nil
}

// Close ends the writing. If o was created and not committed, nothing is left of the file; after
// Commit it does nothing. Who has joined looks at the error before the file is committed.
func (o *Output) Close() error {
	if o.committed {
		return nil
	}
	defer o.guard.leave()
	err := o.file.Close()
	if errors.Is(err, os.ErrClosed) {
		return nil // a Commit that failed
	}
	if err != nil {
		err = outputError(o.path, err)
	}
	return errors.Join(err, o.remove())
}

// remove removes what is not to be.
func (o *Output) remove() error {
	if !o.creator || o.temporary == o.path {
		return nil
	}
	return os.Remove(o.temporary)
}

// outputError says which file it is about, without the temporary name that nobody has chosen, and
// what can be done.
func outputError(path string, err error) error {
	cause := err
	var pathError *os.PathError
	if errors.As(err, &pathError) {
		cause = pathError.Err
	}
	var linkError *os.LinkError
	if errors.As(err, &linkError) {
		cause = linkError.Err
	}
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("writing %s: %w: the file was not written: make room, or choose a file on another file system", path, cause)
	}
	return fmt.Errorf("writing %s: %w", path, cause)
}
