package record

import (
	"fmt"
	"os"

	"github.com/sublet-hpc/sublet/internal/atomicfile"
)

// Draft is where a run is going to be saved. It is made before anything is measured, so that what is
// wrong with the place is known then, and not when the samples are there.
type Draft struct {
	output *atomicfile.Output
	path   string
}

// NewDraft makes one for a path, at which nothing changes until the run is saved. What is there already is
// replaced if it is a file.
func NewDraft(path string) (*Draft, error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() || atomicfile.IsDescriptor(path) {
		return nil, fmt.Errorf("%s: it is there already, and is no file", path)
	}
	output, err := atomicfile.Create(path)
	if err != nil {
		return nil, err
	}
	return &Draft{output, path}, nil
}

// Save writes the run, whole or not at all.
func (d *Draft) Save(r *Run) error {
	err := r.Write(d.output)
	if err == nil {
		err = d.output.Commit()
	}
	if err != nil {
		d.Discard()
		return fmt.Errorf("%s: %w", d.path, err)
	}
	return nil
}

// Discard leaves nothing behind. After Save it does nothing.
func (d *Draft) Discard() { d.output.Discard() }

// Save writes the run to a file, whole or not at all.
func (r *Run) Save(path string) error {
	draft, err := NewDraft(path)
	if err != nil {
		return err
	}
	return draft.Save(r)
}
