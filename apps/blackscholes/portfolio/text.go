package portfolio

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
)

// lines are the lines of a part of a file, some of them in memory.
type lines struct {
	file   *File
	next   int64 // offset of what is read next
	end    int64 // of the part: behind a line feed, or the end of the file
	buffer []byte
	base   int64 // offset of what buffer begins with
	filled int   // bytes of buffer
	ready  int   // of these, with which whole lines end
	at     int   // where in buffer the next line begins
	passed int64 // lines in front of buffer, of a stream, which can not be read again
}

// bufferSize is what is read at once: it stays in a core's cache.
const bufferSize = 256 << 10

func newLines(f *File, part, parts int) (*lines, error) {
	l := &lines{file: f, next: f.begin, base: f.begin, end: math.MaxInt64, passed: f.preamble}
	l.buffer = make([]byte, bufferSize+len("\n")+lookahead)
	if f.size == streamed {
		return l, nil
	}
	var err error
	if l.next, err = f.boundary(part, parts); err != nil {
		return nil, err
	}
	l.base = l.next
	l.end, err = f.boundary(part+1, parts)
	return l, err
}

// boundary is where a part begins: at the first line that begins at or behind the part's share of
// the bytes.
func (f *File) boundary(part, parts int) (int64, error) {
	at := f.begin + share(f.size-f.begin, part, parts)
	if part == 0 || part == parts {
		return at, nil
	}
	at-- // a line feed just in front will do
	buffer := make([]byte, maxLine)
	n, err := readFull(f.source, buffer, at)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", f.name, err)
	}
	if i := bytes.IndexByte(buffer[:n], '\n'); i >= 0 {
		return at + int64(i) + 1, nil
	}
	if n < len(buffer) {
		return f.size, nil // the last line has no line feed
	}
	line, err := f.lines(at)
	if err != nil {
		return 0, err
	}
	return 0, f.tooLong(line + 1)
}

// share is where part k of n items begins, if all parts are about equal.
func share(n int64, k, parts int) int64 {
	return n/int64(parts)*int64(k) + n%int64(parts)*int64(k)/int64(parts)
}

func (f *File) tooLong(line int64) error {
	return f.at(line, "the line is longer than %d bytes: it is no option", maxLine)
}

// fill reads more lines after those in memory have been seen. Without an error there are some; at
// the end of the part the error is [io.EOF].
func (l *lines) fill() error {
	if l.file.size == streamed {
		l.passed += int64(bytes.Count(l.buffer[:l.at], []byte("\n")))
	}
	l.base += int64(l.at)
	l.filled = copy(l.buffer, l.buffer[l.at:l.filled])
	l.at, l.ready = 0, 0
	room := l.buffer[l.filled:bufferSize]
	room = room[:min(int64(len(room)), l.end-l.next)]
	n, err := readFull(l.file.source, room, l.next)
	if err != nil {
		return fmt.Errorf("%s: %w", l.file.name, err)
	}
	l.file.progress.Add(int64(n))
	l.next += int64(n)
	l.filled += n
	if l.filled == 0 {
		return io.EOF
	}
	l.ready = bytes.LastIndexByte(l.buffer[:l.filled], '\n') + 1
	if l.ready < l.filled && (n < len(room) || l.next == l.end) { // the last line has no line feed
		l.buffer[l.filled] = '\n'
		l.filled++
		l.ready = l.filled
	}
	if l.ready == 0 {
		return l.fail(errTooLong)
	}
	return nil
}

var errTooLong = errors.New("the line is too long")

// fail is an error about the line that is next.
func (l *lines) fail(cause error) error {
	line := l.passed + int64(bytes.Count(l.buffer[:l.at], []byte("\n")))
	if l.file.size != streamed {
		var err error
		if line, err = l.file.lines(l.base + int64(l.at)); err != nil {
			return err
		}
	}
	if errors.Is(cause, errTooLong) {
		return l.file.tooLong(line + 1)
	}
	return l.file.at(line+1, "%v", cause)
}

// readText reads options until there is no more room for them, or the part ends.
func (r *Reader[T]) readText(blocks []Block[T], reference []float32, room int) (options int, err error) {
	l := r.text
	var o option[T]
	for options < room {
		if l.at == l.ready {
			if err := l.fill(); errors.Is(err, io.EOF) {
				return options, nil
			} else if err != nil {
				return 0, err
			}
		}
		options = r.quickLines(blocks, reference, options, room)
		if options == room || l.at == l.ready {
			continue
		}
		end := l.at + bytes.IndexByte(l.buffer[l.at:l.ready], '\n')
		blank := false
		if end-l.at > maxLine {
			err = errTooLong
		} else {
			blank, err = carefulLine(&o, l.buffer[l.at:end])
		}
		if err != nil {
			return 0, l.fail(err)
		}
		l.at = end + 1
		if !blank {
			r.keep(&o, blocks, reference, options)
			options++
		}
	}
	return options, nil
}

// quickLines reads lines as long as quickLine can, and returns how many options there are then.
func (r *Reader[T]) quickLines(blocks []Block[T], reference []float32, options, room int) int {
	l := r.text
	text, at, ready := l.buffer[:l.filled+lookahead], l.at, l.ready
	var o option[T]
	for options < room && at < ready {
		next := quickLine(&o, text, at)
		if next == 0 || !o.inRange() {
			break
		}
		if next = quickReference(&o.reference, text, next); next == 0 {
			break
		}
		at = next
		r.keep(&o, blocks, reference, options)
		options++
	}
	l.at = at
	return options
}

// keep makes an option that of a place.
func (r *Reader[T]) keep(o *option[T], blocks []Block[T], reference []float32, place int) {
	o.store(blocks, place)
	if o.dividends() {
		r.tally.Dividends++
	}
	if reference != nil {
		reference[place] = o.reference
	}
}
