package portfolio

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

// plain is an option as a test has it, in a slice of its own.
type plain[T Float] struct {
	spot, strike, rate, volatility, time T
	put                                  int32
	reference                            float32
}

// read reads a part of a file, in batches of so many blocks.
func read[T Float](f *File, part, parts, batch int) ([]plain[T], Tally, error) {
	r, err := NewReader[T](f, part, parts)
	if err != nil {
		return nil, Tally{}, err
	}
	var options []plain[T]
	blocks, reference := make([]Block[T], batch), make([]float32, batch*Lanes)
	for {
		n, err := r.Read(blocks, reference)
		if errors.Is(err, io.EOF) && n == 0 {
			return options, r.Tally(), nil
		}
		if err != nil {
			return options, r.Tally(), err
		}
		for i := range n {
			b, k := &blocks[i/Lanes], i%Lanes
			o := plain[T]{b.Spot[k], b.Strike[k], b.Rate[k], b.Volatility[k], b.Time[k], b.Put[k], 0}
			if f.columns == WithReference {
				o.reference = reference[i]
			}
			options = append(options, o)
		}
		if k := n % Lanes; k != 0 {
			b := &blocks[n/Lanes]
			for ; k < Lanes; k++ {
				if b.Spot[k] != 1 || b.Strike[k] != 1 || b.Rate[k] != 0 || b.Volatility[k] != 1 || b.Time[k] != 1 || b.Put[k] != 0 {
					return nil, Tally{}, fmt.Errorf("%+v is not padded from option %d on", b, n)
				}
			}
		}
	}
}

// memory opens what is in memory.
func memory(content []byte, columns Columns) (*File, error) {
	return open("in", bytes.NewReader(content), int64(len(content)), columns)
}

func readAll[T Float](content string, batch int) ([]plain[T], Tally, error) {
	f, err := memory([]byte(content), WithReference)
	if err != nil {
		return nil, Tally{}, err
	}
	return read[T](f, 0, 1, batch)
}

// PARSEC's smallest input, in_4.txt: values from Hull's book.
const four = `4
42.00 40.00 0.1000 0.00 0.20 0.50 C 0.00 4.759423036851750055
42.00 40.00 0.1000 0.00 0.20 0.50 P 0.00 0.808600016880314021
100.00 100.00 0.0500 0.00 0.15 1.00 P 0.00 3.714602051381290071
100.00 100.00 0.0500 0.00 0.15 1.00 C 0.00 8.591659601309890704
`

func TestRead(t *testing.T) {
	want := []plain[float32]{
		{42, 40, 0.1, 0.2, 0.5, 0, 4.759423036851750055},
		{42, 40, 0.1, 0.2, 0.5, 1, 0.808600016880314021},
		{100, 100, 0.05, 0.15, 1, 1, 3.714602051381290071},
		{100, 100, 0.05, 0.15, 1, 0, 8.591659601309890704},
	}
	for name, content := range map[string]string{
		"as it is":               four,
		"no line feed":           strings.TrimSuffix(four, "\n"),
		"CR LF":                  strings.ReplaceAll(four, "\n", "\r\n"),
		"tabs":                   strings.ReplaceAll(four, " ", "\t"),
		"more blanks":            " \t" + strings.ReplaceAll(strings.ReplaceAll(four, " ", " \v "), "\n", "  \n  "),
		"blank lines":            "\n \n" + strings.ReplaceAll(four, "\n", "\n\r\n\n") + strings.Repeat("\n", 1000),
		"signs":                  strings.ReplaceAll(four, " 4", " +4"),
		"exponents":              strings.ReplaceAll(four, " 0.1000 0.00", " 1e-1 0E5"),
		"without a zero":         strings.ReplaceAll(four, " 0.", " ."),
		"without decimals":       strings.ReplaceAll(strings.ReplaceAll(four, "100.00", "100."), " 40.00", " 40"),
		"with zeros":             strings.ReplaceAll(four, " 0.", " 0000000000000000000000."),
		"a blank line at 64":     "4" + strings.Repeat(" ", 62) + strings.TrimPrefix(four, "4"),
		"a long blank beginning": "4 \r\n\n" + strings.Repeat(" ", 10000) + strings.TrimPrefix(four, "4\n"),
	} {
		got, tally, err := readAll[float32](content, 1)
		if err != nil || !slices.Equal(got, want) || tally.Options != 4 || tally.Dividends != 0 {
			t.Errorf("%s: %v, %+v, %v", name, got, tally, err)
		}
	}
	double, _, err := readAll[float64](four, 3)
	if err != nil || len(double) != 4 || double[0].rate != 0.1 || double[3].volatility != 0.15 {
		t.Errorf("%v, %v", double, err)
	}
}

func TestNoOptions(t *testing.T) {
	for _, content := range []string{"0", "0\n", "0\n\n \n"} {
		if options, _, err := readAll[float32](content, 1); err != nil || len(options) != 0 {
			t.Errorf("%q: %v, %v", content, options, err)
		}
	}
}

func TestNegativeRatesAreRead(t *testing.T) {
	options, _, err := readAll[float32]("2\n1 1 -0.01 0 1 1 C 0 0\n1 1 -0 0 1 1 C 0 -5e-3\n", 1)
	if err != nil || options[0].rate != -0.01 || options[1].reference != -5e-3 {
		t.Errorf("%v, %v", options, err)
	}
}

func TestDividendsAreCounted(t *testing.T) {
	_, tally, err := readAll[float32]("4\n1 1 0 0.00 1 1 C 0 0\n1 1 0 0.01 1 1 C 0 0\n1 1 0 -0 1 1 C 2 0\n1 1 0\t1 1 1 C 1 0\n", 1)
	if err != nil || tally.Dividends != 3 {
		t.Errorf("%+v, %v", tally, err)
	}
}

// text is a file of n lines of many forms, and what is in it as strconv reads it.
func text[T Float](t *rapid.T, n int) (string, []plain[T]) {
	size := 32
	if _, double := any(T(0)).(float64); double {
		size = 64
	}
	lines := []string{strconv.Itoa(n)}
	var want []plain[T]
	usual := rapid.StringMatching(`[1-9][0-9]{0,2}\.[0-9]{2}`)
	other := rapid.StringMatching(`\+?[1-9][0-9]{0,9}\.[0-9]{0,12}([eE]-?[0-9])?`)
	blank := rapid.SampledFrom([]string{" ", " ", " ", " ", "  ", "\t", " \r"})
	for range n {
		word := func() (string, T) {
			kind := usual
			if rapid.IntRange(0, 9).Draw(t, "kind") == 0 {
				kind = other
			}
			s := kind.Draw(t, "number")
			x, err := strconv.ParseFloat(s, size)
			if err != nil {
				t.Fatal(err)
			}
			return s, T(x)
		}
		var o plain[T]
		var words [9]string
		for i, x := range map[int]*T{0: &o.spot, 1: &o.strike, 2: &o.rate, 4: &o.volatility, 5: &o.time} {
			words[i], *x = word()
		}
		words[3], words[6], words[7] = "0.00", rapid.SampledFrom([]string{"C", "P"}).Draw(t, "type"), "0.00"
		if words[6] == "P" {
			o.put = 1
		}
		words[8] = rapid.StringMatching(`[0-9]{1,2}\.[0-9]{18}`).Draw(t, "reference")
		reference, err := strconv.ParseFloat(words[8], 32)
		if err != nil {
			t.Fatal(err)
		}
		o.reference = float32(reference)
		lines = append(lines, strings.Join(words[:], blank.Draw(t, "blank")))
		want = append(want, o)
		if rapid.IntRange(0, 20).Draw(t, "empty") == 0 {
			lines = append(lines, "")
		}
	}
	return strings.Join(lines, rapid.SampledFrom([]string{"\n", "\r\n"}).Draw(t, "end")), want
}

// However a file is divided, every option is read once, in order.
func TestParts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		checkParts[float32](t)
		checkParts[float64](t)
	})
}

func checkParts[T Float](t *rapid.T) {
	content, want := text[T](t, rapid.IntRange(0, 50).Draw(t, "n"))
	f, err := memory([]byte(content), WithReference)
	if err != nil {
		t.Fatal(err)
	}
	parts := rapid.IntRange(1, 60).Draw(t, "parts")
	batch := rapid.IntRange(1, 4).Draw(t, "batch")
	var got []plain[T]
	var all Tally
	for part := range parts {
		options, tally, err := read[T](f, part, parts, batch)
		if err != nil {
			t.Fatalf("part %d of %d: %v", part, parts, err)
		}
		all.Add(tally)
		got = append(got, options...)
	}
	if err := f.Verify(all); err != nil {
		t.Error(err)
	}
	if !slices.Equal(got, want) {
		t.Errorf("%d parts of\n%s\nare read as %v, not %v", parts, content, got, want)
	}
	if f.Count() > 0 && f.Read() != f.Size()-f.begin {
		t.Errorf("%d of %d bytes have been read", f.Read(), f.Size())
	}
}

// Goroutines read parts of a file that is larger than a buffer, at the same time.
func TestPartsOfALargeFile(t *testing.T) {
	const n, parts = 50000, 7
	content := AppendGenerated(AppendCount(nil, n), 0, n, 5)
	path := filepath.Join(t.TempDir(), "in.txt")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path, WithReference)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if f.Count() != n || f.Size() != int64(len(content)) || f.Binary() || f.Parts(1<<20) != len(content)>>20 {
		t.Errorf("%d options in %d bytes, %d parts", f.Count(), f.Size(), f.Parts(1<<20))
	}
	want, _, err := read[float32](f, 0, 1, 100)
	if err != nil || len(want) != n {
		t.Fatalf("%d options, %v", len(want), err)
	}
	var pieces [parts][]plain[float32]
	var tallies [parts]Tally
	var group sync.WaitGroup
	for part := range parts {
		group.Go(func() {
			var err error
			if pieces[part], tallies[part], err = read[float32](f, part, parts, 1+part); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	var all Tally
	for _, tally := range tallies {
		all.Add(tally)
	}
	if got := slices.Concat(pieces[:]...); !slices.Equal(got, want) || f.Verify(all) != nil {
		t.Errorf("%d options, %v", len(got), f.Verify(all))
	}
	all.Options--
	if err := f.Verify(all); err == nil || !strings.Contains(err.Error(), "says 50000 options, but 49999 follow") {
		t.Errorf("with an option less: %v", err)
	}
}

// A pipe is read as a file is, by one reader.
func TestPipe(t *testing.T) {
	const n = 20000
	content := AppendGenerated(AppendCount(nil, n), 0, n, 5)
	wrong := slices.Concat(content, []byte("1 1 1 1 1 1 X 1 1\n"))
	want, _, err := readAll[float32](string(content), 8)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		content []byte
		want    string
	}{{content, ""}, {wrong, ":20002: type \"X\""}} {
		reader, writer, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			_, _ = writer.Write(test.content)
			writer.Close()
		}()
		f, err := Open(fmt.Sprintf("/dev/fd/%d", reader.Fd()), WithReference)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := NewReader[float32](f, 1, 2); err == nil || !strings.Contains(err.Error(), "not a regular file") {
			t.Errorf("in parts: %v", err)
		}
		got, _, err := read[float32](f, 0, f.Parts(1), 8)
		if test.want == "" && (err != nil || !slices.Equal(got, want)) || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%d options, %v; want %q", len(got), err, test.want)
		}
		f.Close()
		reader.Close()
	}
}

// An error of the disk is told, with the file's name.
func TestReadFails(t *testing.T) {
	content := []byte(four)
	f, err := open("in", &failing{content, 40}, int64(len(content)), Inputs)
	if err == nil {
		_, _, err = read[float32](f, 0, 1, 1)
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) || !strings.HasPrefix(err.Error(), "in: ") {
		t.Errorf("%v", err)
	}
}

// failing is a file of which only the begin can be read.
type failing struct {
	content []byte
	good    int64
}

func (f *failing) ReadAt(p []byte, offset int64) (int, error) {
	if offset+int64(len(p)) > f.good {
		return 0, os.ErrDeadlineExceeded
	}
	return copy(p, f.content[offset:]), nil
}

// Files that the kernel makes up say that they have no bytes.
func TestFileOfUnknownSize(t *testing.T) {
	f, err := open("in", strings.NewReader("0\n"), 0, Inputs)
	if err != nil {
		t.Fatal(err)
	}
	if options, _, err := read[float32](f, 0, 1, 1); err != nil || len(options) != 0 {
		t.Errorf("%v, %v", options, err)
	}
	if _, err := open("in", strings.NewReader(four), 0, Inputs); err == nil || !strings.Contains(err.Error(), "says 4 options, but ") {
		t.Errorf("%v", err)
	}
}
