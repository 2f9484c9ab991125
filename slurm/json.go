package slurm

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// scanner walks through a JSON document and reads of it what is asked for. Slurm writes some 5 KB for each job, of which
// a tenth is of interest; the rest is passed over, several times as fast as encoding/json does it.
type scanner struct {
	data []byte
	at   int
}

// maxDepth is how deep values may lie within each other.
const maxDepth = 64

// keyError is an error of the value at a key.
type keyError struct {
	path string
	err  error
}

func (e *keyError) Error() string { return e.path + ": " + e.err.Error() }
func (e *keyError) Unwrap() error { return e.err }

// under puts a key before the path of an error.
func under(key string, err error) error {
	var inner *keyError
	if !errors.As(err, &inner) {
		return &keyError{key, err}
	}
	if !strings.HasPrefix(inner.path, "[") {
		key += "."
	}
	return &keyError{key + inner.path, inner.err}
}

// peek passes over white space and returns the character behind it, or 0 at the end.
func (s *scanner) peek() byte {
	for ; s.at < len(s.data); s.at++ {
		if c := s.data[s.at]; c != ' ' && c != '\n' && c != '\t' && c != '\r' {
			return c
		}
	}
	return 0
}

// take passes over a character, if it is the next.
func (s *scanner) take(c byte) bool {
	if s.peek() != c || s.at == len(s.data) {
		return false
	}
	s.at++
	return true
}

func (s *scanner) wrong() error {
	if s.peek(); s.at == len(s.data) {
		return fmt.Errorf("it breaks off at byte %d", s.at)
	}
	return fmt.Errorf("it is no JSON at byte %d: %s", s.at, shown(string(s.data[s.at:min(s.at+20, len(s.data))])))
}

// unexpected is the error of a value of another type.
func (s *scanner) unexpected(wanted string) error {
	s.peek()
	from := s.at
	if err := s.skip(); err != nil {
		return err
	}
	return fmt.Errorf("%s was expected, not %s", wanted, shown(string(s.data[from:s.at])))
}

// object calls a function for each key; it has to read the value, or to skip it.
func (s *scanner) object(each func(key []byte) error) error {
	if !s.take('{') {
		return s.unexpected("an object")
	}
	if s.take('}') {
		return nil
	}
	for {
		key, err := s.quoted()
		if err != nil {
			return err
		}
		if !s.take(':') {
			return s.wrong()
		}
		if err := each(key); err != nil {
			return under(string(key), err)
		}
		if s.take('}') {
			return nil
		}
		if !s.take(',') {
			return s.wrong()
		}
	}
}

// array calls a function for each value, which it has to read or to skip.
func (s *scanner) array(each func() error) error {
	if !s.take('[') {
		return s.unexpected("a list")
	}
	if s.take(']') {
		return nil
	}
	for i := 0; ; i++ {
		if err := each(); err != nil {
			return under(fmt.Sprintf("[%d]", i), err)
		}
		if s.take(']') {
			return nil
		}
		if !s.take(',') {
			return s.wrong()
		}
	}
}

// quoted reads a string. What it returns is good as long as the document is.
func (s *scanner) quoted() ([]byte, error) {
	from, escaped, err := s.passQuoted()
	if err != nil {
		return nil, err
	}
	inner := s.data[from+1 : s.at-1]
	if !escaped && utf8.Valid(inner) {
		return inner, nil
	}
	var text string
	if err := json.Unmarshal(s.data[from:s.at], &text); err != nil {
		return nil, fmt.Errorf("no string at byte %d: %w", from, err)
	}
	return []byte(text), nil
}

// passQuoted passes over a string, and says where it began and whether there are backslashes in it.
func (s *scanner) passQuoted() (from int, escaped bool, err error) {
	if !s.take('"') {
		return 0, false, s.wrong()
	}
	from = s.at - 1
	for {
		length := bytes.IndexByte(s.data[s.at:], '"')
		if length < 0 {
			s.at = len(s.data)
			return 0, false, s.wrong()
		}
		part := s.data[s.at : s.at+length]
		slash := bytes.IndexByte(part, '\\')
		if slash < 0 {
			s.at += length + 1
			return from, escaped, nil
		}
		escaped = true
		s.at += slash + 2 // the quote may be what is escaped
		if s.at > len(s.data) {
			s.at = len(s.data)
			return 0, false, s.wrong()
		}
	}
}

// scalar reads what is neither string, object nor list: a number, true, false or null.
func (s *scanner) scalar() ([]byte, error) {
	s.peek()
	from := s.at
	for s.at < len(s.data) && isScalar(s.data[s.at]) {
		s.at++
	}
	text := s.data[from:s.at]
	switch {
	case len(text) == 0:
		return nil, s.wrong()
	case text[0] == '-' || text[0] >= '0' && text[0] <= '9':
		return text, nil
	}
	switch string(text) {
	case "true", "false", "null":
		return text, nil
	}
	s.at = from
	return nil, s.wrong()
}

func isScalar(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c == '.' || c == '-' || c == '+' || c == 'E'
}

// skip passes over a value.
func (s *scanner) skip() error { return s.skipWithin(0) }

func (s *scanner) skipWithin(depth int) error {
	if depth == maxDepth {
		return fmt.Errorf("values lie more than %d deep in each other", maxDepth)
	}
	switch s.peek() {
	case '"':
		_, _, err := s.passQuoted()
		return err
	case '{':
		s.at++
		if s.take('}') {
			return nil
		}
		for {
			if _, _, err := s.passQuoted(); err != nil {
				return err
			}
			if !s.take(':') {
				return s.wrong()
			}
			if err := s.skipWithin(depth + 1); err != nil {
				return err
			}
			if s.take('}') {
				return nil
			}
			if !s.take(',') {
				return s.wrong()
			}
		}
	case '[':
		return s.array(func() error { return s.skipWithin(depth + 1) })
	}
	_, err := s.scalar()
	return err
}

// end is an error if there is more than white space.
func (s *scanner) end() error {
	if s.peek(); s.at < len(s.data) {
		return s.wrong()
	}
	return nil
}
