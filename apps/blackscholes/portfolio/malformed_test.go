package portfolio

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

const good = "42.00 40.00 0.1000 0.00 0.20 0.50 C 0.00 4.759423036851750055\n"

func with(field, value string) string {
	return "2\n" + good + strings.Replace(good, field, value, 1)
}

var malformed = []struct{ name, file, want string }{
	{"nothing", "", "in: the file is empty: the first line is the number of options"},
	{"blanks", " \n\t\n", "in: the file is empty: the first line is the number of options"},
	{"no count", good, `in:1: found "42.00 40.00 0.1000 0.00 0.20 0.50 C 0.00 4.75942303685175005"…: the first line is the number of options`},
	{"a count and more", "1 option\n" + good, `in:1: found "1 option": the first line is the number of options`},
	{"a negative count", "-1\n" + good, `in:1: found "-1": the first line is the number of options`},
	{"a count that is none", "\n\n1.5\n" + good, `in:3: found "1.5": the first line is the number of options`},
	{"an octal count", "010\n" + good, `in:1: found "010": a number of options without a zero in front is expected, as PARSEC takes that for octal`},
	{"a count for no file", "1000000000000000000\n" + good, "in:1: the first line says 1000000000000000000 options, but 1 follow: one of them is wrong, or part of the file is missing"},
	{"a count for no program", "9223372036854775808\n" + good, `in:1: found "9223372036854775808": the first line is the number of options`},
	{"a long first line", strings.Repeat("1", 100) + "\n", `in:1: found "` + strings.Repeat("1", 60) + `"…: the first line is the number of options`},
	{"too few", "3\n" + good + "\n" + good, "in:1: the first line says 3 options, but 2 follow: one of them is wrong, or part of the file is missing"},
	{"none", "1", "in:1: the first line says 1 option, but 0 follow: one of them is wrong, or part of the file is missing"},
	{"too many", "\n2\n" + strings.Repeat(good, 40), "in:2: the first line says 2 options, but 40 follow: one of them is wrong, or part of the file is missing"},
	{"too many, and a wrong one", "2\n" + good + good + "x\n", `in:4: found "x", of 1 field: an option is 9 fields: S K r divq v T type divs reference`},
	{"a short line", with(" C 0.00 4.759423036851750055", ""), `in:3: found "42.00 40.00 0.1000 0.00 0.20 0.50", of 6 fields: an option is 9 fields: S K r divq v T type divs reference`},
	{"no reference", with(" 4.759423036851750055", ""), `in:3: found "42.00 40.00 0.1000 0.00 0.20 0.50 C 0.00", of 8 fields: an option is 9 fields: S K r divq v T type divs reference`},
	{"a line of two", "1\n" + strings.TrimSpace(good) + " " + good, `in:2: found "42.00 40.00 0.1000 0.00 0.20 0.50 C 0.00 4.75942303685175005"…, of 18 fields: an option is 9 fields: S K r divq v T type divs reference`},
	{"a long line", "2\n" + good + strings.Repeat("x", 1<<20) + "\n", "in:3: the line is longer than 65536 bytes: it is no option"},
	{"a line that is too long", "2\n" + good + strings.Repeat(" ", 70000) + good, "in:3: the line is longer than 65536 bytes: it is no option"},
	{"a long number", with("40.00", strings.Repeat("4", 2000)), `in:3: strike price "` + strings.Repeat("4", 60) + `"…: its absolute value is too large`},
	{"no number", with("40.00", "forty"), `in:3: strike price "forty": a decimal number is expected`},
	{"a number and more", with("40.00", "40.00$"), `in:3: strike price "40.00$": a decimal number is expected`},
	{"a comma", with("0.20", "0,20"), `in:3: volatility "0,20": a decimal number is expected`},
	{"no blank", with("0.50 C", "0.50C 1"), `in:3: time "0.50C": a decimal number is expected`},
	{"hexadecimal", with("40.00", "0x28"), `in:3: strike price "0x28": a decimal number is expected`},
	{"NaN", with("0.1000", "NaN"), `in:3: rate "NaN": a finite number is expected`},
	{"infinity", with("42.00", "-inf"), `in:3: spot price "-inf": a finite number is expected`},
	{"too large", with("42.00", "1e39"), `in:3: spot price "1e39": its absolute value is too large`},
	{"a reference that is too large", with("4.759423036851750055", "1e39"), `in:3: reference price "1e39": its absolute value is too large`},
	{"a reference that is no number", with("4.759423036851750055", "4.75942303685175005x"), `in:3: reference price "4.75942303685175005x": a decimal number is expected`},
	{"a dividend that is no number", with("0.00 0.20", "none 0.20"), `in:3: dividend yield "none": a decimal number is expected`},
	{"no time", with("0.50", "0.00"), `in:3: time "0.00": it has to be greater than 0, also as a float32, for the formula to have a price`},
	{"negative time", with("0.50", "-0.50"), `in:3: time "-0.50": it has to be greater than 0, also as a float32, for the formula to have a price`},
	{"no volatility", with("0.20", "1e-50"), `in:3: volatility "1e-50": it has to be greater than 0, also as a float32, for the formula to have a price`},
	{"no spot price", with("42.00", "0"), `in:3: spot price "0": it has to be greater than 0, also as a float32, for the formula to have a price`},
	{"a negative strike price", with("40.00", "-40.00"), `in:3: strike price "-40.00": it has to be greater than 0, also as a float32, for the formula to have a price`},
	{"another type", with("C", "X"), `in:3: type "X": C, a call, or P, a put, is expected`},
	{"a type in lower case", with("C", "p"), `in:3: type "p": C, a call, or P, a put, is expected`},
	{"a long type", with("C", "CALL"), `in:3: type "CALL": C, a call, or P, a put, is expected`},
	{"a zero byte", with("40.00", "40.0\x00"), `in:3: strike price "40.0\x00": a decimal number is expected`},
	{"bytes", "\x7fELF\x02\x01\x01\x00" + strings.Repeat("\x00\xff", 100), `in:1: found "\x7fELF\x02\x01\x01\x00\x00\xff\x00\xff\x00\xff\x00\xff\x00\xff\x00\xff\x00\xff\x00\xff\x00\xff\x00\xff\x00\xff\x00\xff\x00\xff\x00\xff\x00\xff\x00\xff\x00\xff\x00\xff\x00\xff\x00\xff\x00\xff\x00\xff\x00\xff\x00\xff\x00\xff\x00\xff"…: the first line is the number of options`},
	{"gzip", "\x1f\x8b\x08\x00", "in: the file is compressed with gzip: unpack it first, with gunzip"},
}

func TestMalformed(t *testing.T) {
	for _, test := range malformed {
		for _, parts := range []int{1, 2, 5} {
			err := readParts(test.file, parts)
			var syntax *SyntaxError
			if !errors.As(err, &syntax) || err.Error() != test.want {
				if parts > 1 && strings.HasPrefix(test.name, "too many, and") {
					continue // the wrong one may be the first that is found
				}
				t.Errorf("%s, in %d parts: %v\nwant %s", test.name, parts, err, test.want)
			}
		}
	}
}

// readParts reads all parts of a file, as ranks do, and returns the first error.
func readParts(content string, parts int) error {
	f, err := memory([]byte(content), WithReference)
	if err != nil {
		return err
	}
	var all Tally
	for part := range parts {
		_, tally, err := read[float32](f, part, parts, 2)
		if err != nil {
			return err
		}
		all.Add(tally)
	}
	return f.Verify(all)
}

// What lies far behind in a file is at its line, whichever part reads it.
func TestLineOfAnError(t *testing.T) {
	const n = 30000
	content := AppendGenerated(AppendCount(nil, n), 0, n, 1)
	lines := bytes.SplitAfter(content, []byte("\n"))
	lines[25000] = []byte("\n \n" + strings.Replace(good, "C", "c", 1))
	content = bytes.Join(lines, nil)
	for _, parts := range []int{1, 3, 100} {
		if err := readParts(string(content), parts); err == nil || !strings.HasPrefix(err.Error(), "in:25003: type") {
			t.Errorf("%d parts: %v", parts, err)
		}
	}
}

// After an error, and after the end, nothing more is read.
func TestErrorsStay(t *testing.T) {
	f, err := memory([]byte(with("C", "X")+good), Inputs)
	if err != nil {
		t.Fatal(err)
	}
	r, err := NewReader[float32](f, 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	blocks := make([]Block[float32], 1)
	_, first := r.Read(blocks, nil)
	n, second := r.Read(blocks, nil)
	if first == nil || n != 0 || !errors.Is(second, first) {
		t.Errorf("%v, then %d, %v", first, n, second)
	}
}

func TestOpenFails(t *testing.T) {
	dir := t.TempDir()
	for path, want := range map[string]string{
		dir:                        "reading options: " + dir + " is a directory: a file is expected",
		filepath.Join(dir, "none"): "no such file or directory",
	} {
		if _, err := Open(path, Inputs); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%v; want %q", err, want)
		}
	}
	path := filepath.Join(dir, "in.txt")
	if err := os.WriteFile(path, []byte("none\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path, Inputs); err == nil || err.Error() != path+`:1: found "none": the first line is the number of options` {
		t.Errorf("%v", err)
	}
}

// allocated is how many bytes f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// What is allocated does not grow with the file.
func TestMemoryIsBounded(t *testing.T) {
	const n = 100000
	content := AppendGenerated(AppendCount(nil, n), 0, n, 1)
	blocks := make([]Block[float32], 64)
	got := allocated(func() {
		f, err := memory(content, Inputs)
		if err != nil {
			t.Fatal(err)
		}
		r, err := NewReader[float32](f, 0, 1)
		for err == nil {
			_, err = r.Read(blocks, nil)
		}
	})
	if got > 2*bufferSize {
		t.Errorf("%d bytes were allocated", got)
	}
}

// Whatever a file holds: reading it ends, in any number of parts, with an error about the file or
// with options that have a price, and in parts as in one.
func FuzzRead(f *testing.F) {
	for _, test := range malformed {
		if len(test.file) < 1000 {
			f.Add([]byte(test.file), uint8(2))
		}
	}
	f.Add([]byte(four), uint8(1))
	f.Add([]byte(strings.ReplaceAll(four, " ", "\t\r ")), uint8(3))
	f.Add(binaryFile(f, 20, WithReference), uint8(2))
	f.Fuzz(func(t *testing.T, content []byte, parts uint8) {
		if parts%2 == 0 && len(content) >= headerSize && bytes.HasPrefix(content, []byte(magic)) {
			// Hardly any change of a header would be looked at otherwise.
			content = slices.Clone(content)
			seal(content)
		}
		fuzzRead[float32](t, content, int(parts))
		fuzzRead[float64](t, content, int(parts))
	})
}

func fuzzRead[T Float](t *testing.T, content []byte, parts int) {
	var results [2][]plain[T]
	var failed [2]bool
	for i, parts := range []int{1, 1 + parts%20} {
		f, err := memory(content, Inputs)
		var all Tally
		for part := 0; part < parts && err == nil; part++ {
			var options []plain[T]
			var tally Tally
			options, tally, err = read[T](f, part, parts, 2)
			results[i] = append(results[i], options...)
			all.Add(tally)
		}
		if err == nil {
			err = f.Verify(all)
		}
		failed[i] = err != nil
		var syntax *SyntaxError
		if err != nil && !errors.As(err, &syntax) {
			t.Errorf("%d parts: %v", parts, err)
		}
	}
	if failed[0] != failed[1] || !failed[0] && fmt.Sprint(results[0]) != fmt.Sprint(results[1]) {
		t.Errorf("in one part %v, %v; in more %v, %v", failed[0], results[0], failed[1], results[1])
	}
	if !failed[0] {
		for _, o := range results[0] {
			if !positive(o.spot) || !positive(o.strike) || !positive(o.volatility) || !positive(o.time) || o.rate-o.rate != 0 || o.put>>1 != 0 {
				t.Errorf("%+v has no price", o)
			}
		}
	}
}
