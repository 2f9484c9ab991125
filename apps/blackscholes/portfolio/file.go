package portfolio

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"sync/atomic"
)

// Columns are what is wanted of a file of options.
type Columns int

const (
	// Inputs are what a price is computed from.
	Inputs Columns = iota
	// WithReference are those and the reference prices.
	WithReference
)

// File is a file of options that was opened, in PARSEC's text format or in the binary form. Several
// readers, each with a goroutine of its own, may read parts of it.
type File struct {
	name     string
	source   io.ReaderAt
	closer   io.Closer
	size     int64 // bytes; streamed: what comes is not known
	begin    int64 // where the options begin
	preamble int64 // lines in front of them
	count    int64 // of options, as the file says
	columns  Columns
	binary   *header // nil: it is text
	progress atomic.Int64
}

// streamed is the size of what is no regular file.
const streamed = -1

// maxLine bounds a line, in bytes. PARSEC's have less than 100.
const maxLine = 64 << 10

// Open opens a file of options and reads how many it has. The form is known by the first bytes. What
// is not a regular file, as a pipe, can be read by one reader only, which reads it all. Errors name
// the file; what is wrong inside is a [*SyntaxError].
func Open(path string, columns Columns) (*File, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading options: %w", err)
	}
	info, err := file.Stat()
	if err == nil && info.IsDir() {
		err = fmt.Errorf("reading options: %s is a directory: a file is expected", path)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	size, source := info.Size(), io.ReaderAt(file)
	if !info.Mode().IsRegular() {
		size, source = streamed, &stream{r: file}
	}
	f, err := open(path, source, size, columns)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	f.closer = file
	return f, nil
}

func open(name string, source io.ReaderAt, size int64, columns Columns) (*File, error) {
	f := &File{name: name, source: source, size: size, columns: columns}
	head := make([]byte, headerSize)
	n, err := readFull(source, head, 0)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	head = head[:n]
	if size != streamed {
		f.size = max(size, int64(n)) // some files, as those of /proc, say that they are empty
	}
	switch {
	case bytes.HasPrefix(head, []byte(magic)):
		err = f.openBinary(head)
	case bytes.HasPrefix(head, []byte("\x1f\x8b")):
		err = f.errorf("the file is compressed with gzip: unpack it first, with gunzip")
	default:
		err = f.openText(head)
	}
	if err != nil {
		return nil, err
	}
	return f, nil
}

// openText reads the number of options, in the first line that is not blank.
func (f *File) openText(head []byte) error {
	rest := head
	var first []byte
	for len(rest) > 0 && len(bytes.TrimSpace(first)) == 0 {
		first, rest, _ = bytes.Cut(rest, []byte("\n"))
		f.preamble++
	}
	if len(bytes.TrimSpace(first)) == 0 && len(head) < headerSize {
		return f.errorf("the file is empty: the first line is the number of options")
	}
	f.begin = int64(len(head) - len(rest))
	word, more := nextWord(first)
	count, err := strconv.ParseUint(string(word), 10, 63)
	if extra, _ := nextWord(more); err != nil || len(extra) > 0 || len(rest) == 0 && len(head) == headerSize && head[headerSize-1] != '\n' {
		return f.at(f.preamble, "found %s: the first line is the number of options", quote(first))
	}
	if len(word) > 1 && word[0] == '0' {
		return f.at(f.preamble, "found %s: a number of options without a zero in front is expected, as PARSEC takes that for octal", quote(word))
	}
	f.count = int64(count)
	// Nobody may get ready for more options than there can be.
	const shortest = int64(len("1 1 1 1 1 1 C 1 1\n"))
	if f.size != streamed && f.count > (f.size-f.begin+1)/shortest {
		found, err := f.options(f.begin, f.size)
		if err != nil {
			return err
		}
		return f.wrongCount(found)
	}
	return nil
}

// Count is how many options the file says it has. There may be less, or more, as [File.Verify] tells.
func (f *File) Count() int64 { return f.count }

// Size is the file's size in bytes, and -1 if that is not known.
func (f *File) Size() int64 { return f.size }

// Binary tells whether the file is in the binary form.
func (f *File) Binary() bool { return f.binary != nil }

// Parts is into how many parts to divide a file for each of them to have about so many bytes; 1 for
// what can not be divided, as a pipe.
func (f *File) Parts(bytes int64) int {
	if f.size == streamed {
		return 1
	}
	return int(max(1, (f.size-f.begin)/max(bytes, 1)))
}

// Read is how many bytes all readers together have read, for a bar that compares it with Size. It
// may be called at any time.
func (f *File) Read() int64 { return f.progress.Load() }

// Close closes the file, after its readers have ended.
func (f *File) Close() error {
	if f.closer == nil {
		return nil
	}
	return f.closer.Close()
}

// readFull reads as much as there is, and at most all of p; the end of the file is no error.
func readFull(source io.ReaderAt, p []byte, offset int64) (n int, err error) {
	for n < len(p) {
		k, err := source.ReadAt(p[n:], offset+int64(n))
		n += k
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// stream is a reader whose bytes can be had once, in order, but for the first, which Open looks at.
type stream struct {
	r    io.Reader
	head []byte // what has been read to begin with
	read int64
}

// ReadAt reads what comes next, or was at the begin.
func (s *stream) ReadAt(p []byte, offset int64) (int, error) {
	if offset == 0 && s.read == 0 {
		n, err := io.ReadFull(s.r, p)
		s.head = append(s.head, p[:n]...)
		s.read = int64(n)
		if errors.Is(err, io.ErrUnexpectedEOF) {
			err = io.EOF
		}
		return n, err
	}
	if offset < int64(len(s.head)) {
		return copy(p, s.head[offset:]), nil
	}
	if offset != s.read {
		return 0, errors.New("it is not a regular file, which alone can be read in parts")
	}
	n, err := s.r.Read(p)
	s.read += int64(n)
	return n, err
}
