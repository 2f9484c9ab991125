package record

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Write writes the run: a line of JSON about it and one for each series, compressed.
func (r *Run) Write(w io.Writer) error {
	r.Format = Format
	zipped := gzip.NewWriter(w)
	encoder := json.NewEncoder(zipped)
	if err := encoder.Encode(r); err != nil {
		return err
	}
	for _, s := range r.Series {
		if err := encoder.Encode(s); err != nil {
			return err
		}
	}
	return zipped.Close()
}

// Read reads what Write has written.
func Read(r io.Reader) (*Run, error) {
	unzipped, err := gzip.NewReader(bufio.NewReader(r))
	if err != nil {
		return nil, fmt.Errorf("it is no file that sublet-bench --save wrote: %w", err)
	}
	decoder := json.NewDecoder(unzipped)
	run := &Run{}
	if err := decoder.Decode(run); err != nil {
		return nil, fmt.Errorf("it is no file that sublet-bench --save wrote: %w", err)
	}
	if run.Format != Format {
		return nil, fmt.Errorf("its format is %d, and this sublet-bench reads %d: read it with the one that wrote it", run.Format, Format)
	}
	for {
		s := &Series{}
		err := decoder.Decode(s)
		if errors.Is(err, io.EOF) {
			return run, nil
		}
		if err != nil {
			return nil, fmt.Errorf("it is incomplete: %w", err)
		}
		if err := s.check(); err != nil {
			return nil, err
		}
		run.Series = append(run.Series, s)
	}
}

// check finds what would make a summary fail.
func (s *Series) check() error {
	if s.Operations < 1 || len(s.Blocks) == 0 {
		return fmt.Errorf("a series of %s has no samples", s.Kind)
	}
	for _, b := range s.Blocks {
		if len(b.Samples) == 0 || b.Elapsed <= 0 {
			return fmt.Errorf("a block of %s has no samples", s.Kind)
		}
	}
	return nil
}

// Save writes the run to a file, whole or not at all.
func (r *Run) Save(path string) (err error) {
	draft, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(draft.Name()) // nothing once it is renamed
	if err = errors.Join(r.Write(draft), draft.Chmod(0o644), draft.Close()); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return os.Rename(draft.Name(), path)
}

// Load reads a file.
func Load(path string) (*Run, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	run, err := Read(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return run, nil
}
