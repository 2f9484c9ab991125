package record

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
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

// An operation takes less than a fortnight: what is beyond any measurement would overflow sums.
const longest = 1e15

// check finds what would make a summary fail.
func (s *Series) check() error {
	if s.Kind == "" || s.Name == "" || s.Operations < 1 || s.Operations > 1e6 || s.Bytes < 0 || len(s.Blocks) == 0 {
		return fmt.Errorf("a series of %q by %q has no samples, or is no series", s.Kind, s.Name)
	}
	for _, b := range s.Blocks {
		if len(b.Samples) == 0 || b.Elapsed <= 0 || b.Elapsed > longest {
			return fmt.Errorf("a block of %s has no samples, or took no time", s.Kind)
		}
		if slices.Min(b.Samples) < 0 || slices.Max(b.Samples) > longest {
			return fmt.Errorf("a sample of %s is no time", s.Kind)
		}
	}
	return nil
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
