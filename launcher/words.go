package launcher

import (
	"io"
	"os"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// mostWords is how many of the last lines of a program are told.
const mostWords = 8

// words are the last lines that a program has written. Safe for concurrent use.
type words struct {
	mu    sync.Mutex
	lines []string
}

func (w *words) add(line string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lines = append(w.lines, line)
	w.lines = w.lines[max(len(w.lines)-mostWords, 0):]
}

func (w *words) last() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.lines...)
}

// tailSize is how much of a file's end is looked at, in bytes.
const tailSize = 8 << 10

// tail is the last lines of a file; none if there is nothing to read.
func tail(path string) []string {
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0) // a pipe would be waited for
	if err != nil {
		return nil
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return nil
	}
	from := max(info.Size()-tailSize, 0)
	text, err := io.ReadAll(io.NewSectionReader(file, from, tailSize))
	if err != nil {
		return nil
	}
	lines := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	if from > 0 {
		lines = lines[1:] // a part of one
	}
	if len(lines) == 1 && lines[0] == "" {
		return nil
	}
	return lines[max(len(lines)-mostWords, 0):]
}
