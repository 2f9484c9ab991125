package matrixmarket

import (
	"bytes"
	"errors"
	"io"
	"math"
)

const (
	// maxSize is the largest number of rows or columns: columns are kept in 32 bits.
	maxSize = math.MaxInt32
	// maxEntries is the largest number of entries that a size line may name; whether they exist is
	// seen when they are read.
	maxEntries = 1e18 - 1
)

type (
	format   string
	field    string
	symmetry string
)

const (
	coordinate format = "coordinate"
	array      format = "array"

	reals    field = "real"
	integers field = "integer"
	pattern  field = "pattern"

	general   symmetry = "general"
	symmetric symmetry = "symmetric"
	skew      symmetry = "skew-symmetric"
)

// header is the banner and the size line.
type header struct {
	format   format
	field    field
	symmetry symmetry

	rows, columns int
	entries       int // that the file has to have
}

func (s *scanner) header() (header, error) {
	h, err := s.banner()
	if err != nil {
		return header{}, err
	}
	if err := s.size(&h); err != nil {
		return header{}, err
	}
	return h, nil
}

// banner reads the first line.
func (s *scanner) banner() (header, error) {
	const begin = "%%MatrixMarket"
	if magic, err := s.r.Peek(2); err == nil && magic[0] == 0x1f && magic[1] == 0x8b {
		return header{}, s.errorf("the file is compressed with gzip: unpack it first, with gunzip")
	}
	line, err := s.read()
	if errors.Is(err, io.EOF) {
		return header{}, s.errorf("the file is empty: a MatrixMarket file begins with %s", begin)
	}
	if err != nil {
		return header{}, err
	}
	rest := words(line)
	if word := rest.next(); !bytes.EqualFold(word, []byte(begin)) {
		return header{}, s.errorf("found %s: a MatrixMarket file begins with %s", quote(line), begin)
	}
	object := string(bytes.ToLower(rest.next()))
	h := header{
		format:   format(bytes.ToLower(rest.next())),
		field:    field(bytes.ToLower(rest.next())),
		symmetry: symmetry(bytes.ToLower(rest.next())),
	}
	if h.symmetry == "" || len(rest.next()) > 0 {
		return header{}, s.errorf("found %s: the banner is %s and four words, for object, format, field and symmetry", quote(line), begin)
	}
	return h, s.supported(object, h)
}

// supported checks the words of the banner.
func (s *scanner) supported(object string, h header) error {
	unsupported := func(what, found, expected string) error {
		return s.errorf("%s %s is not supported: %s is expected", what, quote([]byte(found)), expected)
	}
	switch {
	case object != "matrix":
		return unsupported("object", object, "matrix")
	case h.format != coordinate && h.format != array:
		return unsupported("format", string(h.format), "coordinate or array")
	case h.field != reals && h.field != integers && h.field != pattern:
		return unsupported("field", string(h.field), "real, integer or pattern")
	case h.symmetry != general && h.symmetry != symmetric && h.symmetry != skew:
		return unsupported("symmetry", string(h.symmetry), "general, symmetric or skew-symmetric")
	case h.field == pattern && h.format == array:
		return s.errorf("an array has values and can not be a pattern")
	case h.field == pattern && h.symmetry == skew:
		return s.errorf("a pattern has no signs and can not be skew-symmetric")
	}
	return nil
}

// size reads the size line.
func (s *scanner) size(h *header) error {
	shape := "rows, columns and entries"
	if h.format == array {
		shape = "rows and columns"
	}
	line, err := s.next()
	if errors.Is(err, io.EOF) {
		return s.errorf("the file ends before the size line, which has the numbers of %s", shape)
	}
	if err != nil {
		return err
	}
	rest := words(line)
	rows, columns := rest.next(), rest.next()
	var entries []byte
	if h.format == coordinate {
		entries = rest.next()
	}
	if len(columns) == 0 || h.format == coordinate && len(entries) == 0 || len(rest.next()) > 0 {
		return s.errorf("found %s: the size line has the numbers of %s", quote(line), shape)
	}
	for _, number := range []struct {
		what string
		word []byte
		most int
		n    *int
	}{
		{"rows", rows, maxSize, &h.rows},
		{"columns", columns, maxSize, &h.columns},
		{"entries", entries, maxEntries, &h.entries},
	} {
		if h.format == array && number.n == &h.entries {
			break // it follows from the others
		}
		var ok bool
		if *number.n, ok = natural(number.word, number.most); !ok {
			return s.errorf("number of %s %s: a whole number from 0 to %d is expected", number.what, quote(number.word), number.most)
		}
	}
	if h.symmetry != general && h.rows != h.columns {
		return s.errorf("%d × %d: a %s matrix is square", h.rows, h.columns, h.symmetry)
	}
	if h.format == array {
		h.entries = h.values()
	}
	return nil
}

// values is how many values an array file has: all, or those of the lower triangle.
func (h header) values() int {
	switch h.symmetry {
	case symmetric:
		return h.rows * (h.rows + 1) / 2
	case skew:
		return h.rows * (h.rows - 1) / 2
	}
	return h.rows * h.columns
}
