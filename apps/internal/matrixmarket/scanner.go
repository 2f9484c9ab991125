package matrixmarket

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// maxLine bounds the lines that mean something; the standard's bound is 1024.
const maxLine = 64 << 10

// SyntaxError is a file that is not in MatrixMarket's format, or not of a kind that this package
// reads.
type SyntaxError struct {
	Name string // of the file, as it was given to Read
	Line int    // from 1; 0 where it is about the file as a whole
	Text string // what was found and what is expected
}

// Error is "name:line: text".
func (e *SyntaxError) Error() string {
	if e.Line == 0 {
		return e.Name + ": " + e.Text
	}
	return e.Name + ":" + strconv.Itoa(e.Line) + ": " + e.Text
}

// scanner reads the lines of a file.
type scanner struct {
	r    *bufio.Reader
	name string
	line int // number of the line read last, from 1
}

func newScanner(r io.Reader, name string) *scanner {
	return &scanner{r: bufio.NewReaderSize(r, maxLine), name: name}
}

// next returns the next line that is neither blank nor a comment, and io.EOF at the end. The line
// is valid until the next call.
func (s *scanner) next() ([]byte, error) {
	for {
		line, err := s.read()
		if err != nil {
			return nil, err
		}
		for len(line) > 0 && isSpace(line[0]) {
			line = line[1:]
		}
		if len(line) > 0 && line[0] != '%' {
			return line, nil
		}
	}
}

// read returns the next line, whatever it is.
func (s *scanner) read() ([]byte, error) {
	line, err := s.r.ReadSlice('\n')
	if len(line) > 0 {
		s.line++
	}
	switch {
	case err == nil, errors.Is(err, io.EOF) && len(line) > 0:
		return line, nil
	case errors.Is(err, io.EOF):
		return nil, io.EOF
	case !errors.Is(err, bufio.ErrBufferFull):
		return nil, s.failed(err)
	case line[0] != '%' || s.line == 1:
		return nil, s.errorf("the line is longer than %d bytes", maxLine)
	}
	for errors.Is(err, bufio.ErrBufferFull) { // the rest of a long comment
		_, err = s.r.ReadSlice('\n')
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, s.failed(err)
	}
	return nil, nil
}

// failed is an error of the reader.
func (s *scanner) failed(err error) error {
	return fmt.Errorf("%s:%d: %w", s.name, max(s.line, 1), err)
}

// errorf is an error about the line read last.
func (s *scanner) errorf(format string, arguments ...any) error {
	return &SyntaxError{Name: s.name, Line: max(s.line, 1), Text: fmt.Sprintf(format, arguments...)}
}

// words cuts a line into words, one at a time.
type words []byte

// next returns the next word, and an empty one at the end of the line.
func (w *words) next() []byte {
	line, begin := *w, 0
	for begin < len(line) && isSpace(line[begin]) {
		begin++
	}
	end := begin
	for end < len(line) && !isSpace(line[end]) {
		end++
	}
	*w = line[end:]
	return line[begin:end]
}

func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

// quote is what was found, for an error.
func quote(found []byte) string {
	const most = 40
	for len(found) > 0 && isSpace(found[len(found)-1]) {
		found = found[:len(found)-1]
	}
	if len(found) > most {
		return strconv.Quote(string(found[:most])) + "…"
	}
	return strconv.Quote(string(found))
}
