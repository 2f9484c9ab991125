package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// MaxFile is the most bytes that a file may have: a device database of some ten thousand nodes.
const MaxFile = 32 << 20

// maxErrors is how many mistakes of one file are told.
const maxErrors = 20

// Error is a mistake in a file.
type Error struct {
	File string
	Line int    // from 1
	Text string // names the key and says what is allowed
}

func (e *Error) Error() string { return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Text) }

// Read reads a file with one of this package's functions.
func Read[T any](path string, parse func(name string, content []byte) (T, error)) (T, error) {
	var none T
	file, err := os.Open(path)
	if err != nil {
		return none, err
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, MaxFile+1))
	if err != nil {
		return none, err
	}
	if len(content) > MaxFile {
		return none, fmt.Errorf("%s has more than %d MiB; is it the right file?", path, MaxFile>>20)
	}
	return parse(path, content)
}

// reader reads one file. Of its errors, those that do not keep it from going on are noted, others end
// the reading.
type reader struct {
	file    string
	content []byte
	decoder *json.Decoder
	errs    []error
}

// errStop says that the file's JSON is broken, or that there are too many mistakes; what is wrong has
// been noted.
var errStop = errors.New("stop")

// parse reads a file whose one value is an object of that schema.
func parse(file string, content []byte, schema object) error {
	r := &reader{file: file, content: content, decoder: json.NewDecoder(bytes.NewReader(content))}
	r.decoder.UseNumber()
	if schema.read(r, "") == nil {
		r.end()
	}
	return errors.Join(r.errs...)
}

// end notes what follows the file's object.
func (r *reader) end() {
	switch _, err := r.decoder.Token(); {
	case err == nil:
		_ = r.note(r.line(), "something follows the end of the file's object")
	case !errors.Is(err, io.EOF):
		_ = r.broken(err)
	}
}

// line is where the last token ended; no token has more than one line.
func (r *reader) line() int { return r.lineAt(r.decoder.InputOffset()) }

func (r *reader) lineAt(offset int64) int {
	return 1 + bytes.Count(r.content[:min(max(offset, 0), int64(len(r.content)))], []byte{'\n'})
}

// note notes a mistake. It returns errStop if there were too many.
func (r *reader) note(line int, format string, args ...any) error {
	r.errs = append(r.errs, &Error{File: r.file, Line: line, Text: fmt.Sprintf(format, args...)})
	if len(r.errs) >= maxErrors {
		r.errs = append(r.errs, &Error{File: r.file, Line: line, Text: "there are more mistakes like these"})
		return errStop
	}
	return nil
}

// broken notes what is wrong with the JSON itself.
func (r *reader) broken(err error) error {
	var syntax *json.SyntaxError
	line, text := r.line(), err.Error()
	switch {
	case len(bytes.TrimSpace(r.content)) == 0:
		text = "the file is empty"
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		line, text = r.lineAt(int64(len(r.content))), "the file ends too early: a } or ] is missing, or a quotation mark"
	case errors.As(err, &syntax):
		line = r.lineAt(max(syntax.Offset, r.decoder.InputOffset())) // of a value that begins wrongly only the latter is right
		text = syntax.Error() + hint(syntax.Error())
	}
	r.errs = append(r.errs, &Error{File: r.file, Line: line, Text: text})
	return errStop
}

// hint explains the mistakes that people make when they edit JSON.
func hint(text string) string {
	switch {
	case strings.Contains(text, `after object key:value pair`), strings.Contains(text, `after array element`):
		return ": a comma is missing before it, on this line or the one above"
	case strings.Contains(text, "'}' looking for beginning"), strings.Contains(text, "']' looking for beginning"):
		return ": is there a comma too many before it?"
	case strings.Contains(text, "looking for beginning of value"):
		return ": text stands in quotation marks; what is in <> or in capitals in a template is to be replaced"
	}
	return ""
}

// token is the next token of a file that must not end yet.
func (r *reader) token() (json.Token, error) {
	token, err := r.decoder.Token()
	if err != nil {
		return nil, r.broken(err)
	}
	return token, nil
}

// skip passes over the rest of a value whose first token was read.
func (r *reader) skip(first json.Token) error {
	depth := change(first)
	for depth > 0 {
		token, err := r.token()
		if err != nil {
			return err
		}
		depth += change(token)
	}
	return nil
}

// change is by how much a token changes the depth.
func change(token json.Token) int {
	switch token {
	case json.Delim('{'), json.Delim('['):
		return 1
	case json.Delim('}'), json.Delim(']'):
		return -1
	}
	return 0
}

// wrong notes that a value is not what its key takes, and passes over it.
func (r *reader) wrong(path string, got json.Token, allowed string) error {
	if err := r.note(r.line(), "%s is %s; it is %s", path, describe(got), allowed); err != nil {
		return err
	}
	return r.skip(got)
}

func describe(token json.Token) string {
	switch value := token.(type) {
	case nil:
		return "null"
	case json.Delim:
		if value == '{' {
			return "an object"
		}
		return "an array"
	case string:
		const most = 60
		if len(value) > most {
			return fmt.Sprintf("%q...", strings.ToValidUTF8(value[:most], ""))
		}
		return fmt.Sprintf("%q", value)
	}
	return fmt.Sprint(token) // a number or a truth value
}
