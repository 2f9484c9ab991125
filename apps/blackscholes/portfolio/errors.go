package portfolio

import (
	"bytes"
	"fmt"
	"strconv"
)

// SyntaxError is a file that is not what this package reads.
type SyntaxError struct {
	Name string // of the file, as it was opened
	Line int64  // from 1; 0 where it is about the file as a whole
	Text string // what was found and what is expected
}

// Error is "name:line: text".
func (e *SyntaxError) Error() string {
	if e.Line == 0 {
		return e.Name + ": " + e.Text
	}
	return e.Name + ":" + strconv.FormatInt(e.Line, 10) + ": " + e.Text
}

func (f *File) at(line int64, format string, arguments ...any) error {
	return &SyntaxError{Name: f.name, Line: line, Text: fmt.Sprintf(format, arguments...)}
}

func (f *File) errorf(format string, arguments ...any) error {
	return f.at(0, format, arguments...)
}

// wrongCount is a first line that promises another number of options than there are.
func (f *File) wrongCount(found int64) error {
	return f.at(f.preamble, "the first line says %s, but %s follow: one of them is wrong, or part of the file is missing",
		plural(f.count, "option"), strconv.FormatInt(found, 10))
}

// lines is how many line feeds are in front of an offset. It reads the file once more, which takes
// time only where something is wrong.
func (f *File) lines(offset int64) (int64, error) {
	var lines int64
	err := f.scan(0, offset, func(piece []byte) {
		lines += int64(bytes.Count(piece, []byte("\n")))
	})
	return lines, err
}

// options is how many lines from one offset to another are not blank.
func (f *File) options(begin, end int64) (int64, error) {
	var options int64
	blank := true
	err := f.scan(begin, end, func(piece []byte) {
		for _, c := range piece {
			if c == '\n' {
				blank = true
			} else if blank && !isBlank(c) {
				blank = false
				options++
			}
		}
	})
	return options, err
}

// scan passes what is from one offset to another, in pieces.
func (f *File) scan(begin, end int64, see func(piece []byte)) error {
	buffer := make([]byte, 64<<10)
	for begin < end {
		n, err := readFull(f.source, buffer[:min(int64(len(buffer)), end-begin)], begin)
		if err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
		if n == 0 {
			break // the file has become shorter
		}
		see(buffer[:n])
		begin += int64(n)
	}
	return nil
}
