package slurm

import (
	"errors"
	"strings"
)

// document reads what sinfo or squeue writes: an object that has one of some lists of records, by their keys.
func document(data []byte, lists map[string]func(*scanner) error) error {
	s := &scanner{data: data}
	found := false
	var faults []string
	err := s.object(func(key []byte) (err error) {
		if string(key) == "errors" {
			faults, err = s.faults()
			return err
		}
		record, ok := lists[string(key)]
		if !ok {
			return s.skip()
		}
		found = true
		return s.array(func() error { return record(s) })
	})
	if err == nil {
		err = s.end()
	}
	switch {
	case err != nil:
		return err
	case len(faults) > 0: // 22.05 ends with success, and with no records, when it does not reach slurmctld
		return &faultsError{faults}
	case !found:
		return errors.New("it is JSON of something else")
	}
	return nil
}

// faultsError is what a document says went wrong.
type faultsError struct{ faults []string }

func (e *faultsError) Error() string { return strings.Join(e.faults, "; ") }

// faults reads the list of errors of a document.
func (s *scanner) faults() ([]string, error) {
	var faults []string
	if s.peek() == 'n' {
		_, err := s.scalar()
		return nil, err
	}
	err := s.array(func() error {
		var short, long, source string
		err := s.object(func(key []byte) (err error) {
			switch string(key) {
			case "error":
				short, err = s.text()
			case "description":
				long, err = s.text()
			case "source":
				source, err = s.text()
			default:
				err = s.skip()
			}
			return err
		})
		faults = append(faults, fault(source, long, short))
		return err
	})
	return faults, err
}

func fault(parts ...string) string {
	var said []string
	for _, part := range parts {
		if part = strings.TrimSpace(strings.Map(printable, part)); part != "" {
			said = append(said, part)
		}
	}
	if said == nil {
		return "an error without a word"
	}
	return strings.Join(said, ": ")
}
