package matrixmarket

import "io"

// WithProgress returns a reader that reads from r and reports, after each read, how many bytes
// have been read so far: every 64 KiB or less while Read reads from it.
func WithProgress(r io.Reader, report func(read int64)) io.Reader {
	return &progress{r: r, report: report}
}

type progress struct {
	r      io.Reader
	report func(read int64)
	read   int64
}

// Read reads from the reader below.
func (p *progress) Read(buffer []byte) (int, error) {
	n, err := p.r.Read(buffer)
	p.read += int64(n)
	p.report(p.read)
	return n, err
}
