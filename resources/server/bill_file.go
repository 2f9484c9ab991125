package server

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"github.com/sublet-hpc/sublet/resources/api"
)

// billFile is the run directory's bill.jsonl: a line for each lease and node, appended when it has ended.
// Lines are numbered by the ledger, which keeps them until it knows that they are here; so a crash neither
// loses one nor doubles it.
type billFile struct {
	path string
	file *os.File
	last uint64 // the number of the last line
	size int64
}

// maxBillLine is the most bytes that a line can have: names are bounded.
const maxBillLine = 4 << 10

// openBillFile opens or makes the file, and cuts off what a crash has left of a line. One that has more lines
// than the ledger has entered is another ledger's, or of after a loss: it is put aside, but for the lines
// that this ledger knows.
func openBillFile(path string, entered uint64, log *slog.Logger) (*billFile, error) {
	f := &billFile{path: path}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		if err := os.Rename(path+successor, path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("resource manager: the bill: %w", err)
		}
	}
	if err := f.open(); err != nil {
		return nil, fmt.Errorf("resource manager: the bill: %w", err)
	}
	if f.last <= entered {
		return f, nil
	}
	f.file.Close()
	aside := fmt.Sprintf("%s.%d", path, f.last)
	log.Warn("the bill has lines that the ledger has not; it is put aside, and goes on with those that both have", "bill", path, "aside", aside, "lines", f.last, "ledger", entered)
	if err := f.putAside(aside, entered); err != nil {
		return nil, fmt.Errorf("resource manager: the bill: %w", err)
	}
	return f, nil
}

func (f *billFile) open() (err error) {
	if f.file, err = os.OpenFile(f.path, os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return err
	}
	if err = f.file.Chmod(0o600); err == nil {
		err = f.findEnd()
	}
	if err != nil {
		f.file.Close()
	}
	return err
}

// findEnd finds the last whole line, and cuts off what is behind it.
func (f *billFile) findEnd() error {
	info, err := f.file.Stat()
	if err != nil {
		return err
	}
	tail := make([]byte, min(info.Size(), 2*maxBillLine))
	begin := info.Size() - int64(len(tail))
	if _, err := f.file.ReadAt(tail, begin); err != nil {
		return err
	}
	end := bytes.LastIndexByte(tail, '\n') + 1
	if end == 0 && begin > 0 {
		return fmt.Errorf("%s does not end in lines of a bill; move it away to begin another", f.path)
	}
	f.size = begin + int64(end)
	if f.size < info.Size() {
		if err := errors.Join(f.file.Truncate(f.size), f.file.Sync()); err != nil {
			return err
		}
	}
	if end == 0 {
		return nil
	}
	line, err := parseBillLine(tail[bytes.LastIndexByte(tail[:end-1], '\n')+1 : end-1])
	if err != nil {
		return fmt.Errorf("%s: its last line is not one of a bill (%w); move it away to begin another", f.path, err)
	}
	f.last = line.Line
	return nil
}

func parseBillLine(text []byte) (api.BillLine, error) {
	var line api.BillLine
	err := json.Unmarshal(text, &line)
	if err == nil && (line.Line == 0 || line.Account == "") {
		err = errors.New("it has no number or no account")
	}
	return line, err
}

// successor is what a file is called that is to take the bill's name, from when it is whole.
const successor = ".new"

// putAside gives the file another name, and makes a new one of the lines up to a number. If it is interrupted
// between the two names, the next start takes up the new one.
func (f *billFile) putAside(aside string, entered uint64) error {
	kept := &billFile{path: f.path + successor}
	if err := os.Remove(kept.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err // of a start that was interrupted
	}
	if err := kept.open(); err != nil {
		return err
	}
	var lines []api.BillLine
	err := readBill(f.path, time.Time{}, entered, func(line *api.BillLine) { lines = append(lines, *line) })
	if err == nil {
		err = kept.append(lines)
	}
	if err = errors.Join(err, kept.close()); err != nil {
		return err
	}
	if err := os.Rename(f.path, aside); err != nil {
		return err
	}
	if err := os.Rename(kept.path, f.path); err != nil {
		return err
	}
	f.last = 0
	return f.open()
}

// append appends those lines that are not in the file yet, and returns when they are on the disk.
func (f *billFile) append(lines []api.BillLine) error {
	var text bytes.Buffer
	last := f.last
	for i := range lines {
		if lines[i].Line <= last {
			continue
		}
		line, err := json.Marshal(&lines[i])
		if err != nil {
			return err
		}
		text.Write(append(line, '\n'))
		last = lines[i].Line
	}
	if text.Len() == 0 {
		return nil
	}
	if _, err := f.file.WriteAt(text.Bytes(), f.size); err != nil {
		return errors.Join(err, f.file.Truncate(f.size)) // no half line is left
	}
	if err := f.file.Sync(); err != nil {
		return err
	}
	f.last, f.size = last, f.size+int64(text.Len())
	return nil
}

func (f *billFile) close() error { return f.file.Close() }

// readBill passes on the lines of a file that were entered at a time or later, up to a number. Times of
// lines only ascend, so that the first is found without reading what is before.
func readBill(path string, since time.Time, upTo uint64, each func(*api.BillLine)) error {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close()
	begin, err := findTime(file, since)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if _, err := file.Seek(begin, io.SeekStart); err != nil {
		return err
	}
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, maxBillLine)
	for upTo > 0 && lines.Scan() {
		line, err := parseBillLine(lines.Bytes())
		if err != nil {
			return fmt.Errorf("%s: a line can not be read: %w", path, err)
		}
		if line.Line <= upTo && !line.At.Before(since) {
			each(&line)
		}
		if line.Line >= upTo {
			return nil // the next may just be being written
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// findTime is the beginning of a line, before which all lines are of before a time.
func findTime(file *os.File, since time.Time) (int64, error) {
	info, err := file.Stat()
	if err != nil || since.IsZero() {
		return 0, err
	}
	low, high := int64(0), info.Size()
	window := make([]byte, 2*maxBillLine)
	for high-low > 2*int64(len(window)) {
		middle := low + (high-low)/2
		n, err := file.ReadAt(window, middle)
		if err != nil && !errors.Is(err, io.EOF) {
			return 0, err
		}
		begin := bytes.IndexByte(window[:n], '\n') + 1
		end := bytes.IndexByte(window[begin:n], '\n')
		if begin == 0 || end < 0 {
			return 0, errors.New("it has a line that is too long")
		}
		line, err := parseBillLine(window[begin : begin+end])
		if err != nil {
			return 0, fmt.Errorf("a line can not be read: %w", err)
		}
		if line.At.Before(since) {
			low = middle + int64(begin)
		} else {
			high = middle + int64(begin)
		}
	}
	return low, nil
}
