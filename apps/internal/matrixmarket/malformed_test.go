package matrixmarket

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

const (
	coordinateBanner = "%%MatrixMarket matrix coordinate real general\n"
	symmetricBanner  = "%%MatrixMarket matrix coordinate real symmetric\n"
	skewBanner       = "%%MatrixMarket matrix coordinate integer skew-symmetric\n"
	patternBanner    = "%%MatrixMarket matrix coordinate pattern general\n"
	arrayBanner      = "%%MatrixMarket matrix array real general\n"
)

var malformed = []struct{ name, file, want string }{
	{"empty", "", "A.mtx:1: the file is empty: a MatrixMarket file begins with %%MatrixMarket"},
	{"no banner", "3 3 1\n1 1 1\n", `A.mtx:1: found "3 3 1": a MatrixMarket file begins with %%MatrixMarket`},
	{"blank first line", "\n" + coordinateBanner, `A.mtx:1: found "": a MatrixMarket file begins with %%MatrixMarket`},
	{"another format", "%MatrixMarket matrix array real general\n", `A.mtx:1: found "%MatrixMarket matrix array real general": a MatrixMarket file begins with %%MatrixMarket`},
	{"binary", "\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 60), `A.mtx:1: found "\x7fELF\x02\x01\x01` + strings.Repeat(`\x00`, 33) + `"…: a MatrixMarket file begins with %%MatrixMarket`},
	{"compressed", "\x1f\x8b\x08\x00\n", "A.mtx:1: the file is compressed with gzip: unpack it first, with gunzip"},
	{"short banner", "%%MatrixMarket matrix coordinate real\n1 1 0\n", `A.mtx:1: found "%%MatrixMarket matrix coordinate real": the banner is %%MatrixMarket and four words, for object, format, field and symmetry`},
	{"long banner", "%%MatrixMarket matrix array real general 1\n", `A.mtx:1: found "%%MatrixMarket matrix array real general"…: the banner is %%MatrixMarket and four words, for object, format, field and symmetry`},
	{"vector", "%%MatrixMarket vector array real general\n", `A.mtx:1: object "vector" is not supported: matrix is expected`},
	{"format", "%%MatrixMarket matrix elemental real general\n", `A.mtx:1: format "elemental" is not supported: coordinate or array is expected`},
	{"complex", "%%MatrixMarket matrix array complex general\n1 1\n1 0\n", `A.mtx:1: field "complex" is not supported: real, integer or pattern is expected`},
	{"hermitian", "%%MatrixMarket matrix array real Hermitian\n", `A.mtx:1: symmetry "hermitian" is not supported: general, symmetric or skew-symmetric is expected`},
	{"pattern array", "%%MatrixMarket matrix array pattern general\n", "A.mtx:1: an array has values and can not be a pattern"},
	{"pattern skew", "%%MatrixMarket matrix coordinate pattern skew-symmetric\n", "A.mtx:1: a pattern has no signs and can not be skew-symmetric"},

	{"no size line", coordinateBanner + "% a comment\n\n", "A.mtx:3: the file ends before the size line, which has the numbers of rows, columns and entries"},
	{"no array size line", strings.TrimSuffix(arrayBanner, "\n"), "A.mtx:1: the file ends before the size line, which has the numbers of rows and columns"},
	{"short size line", coordinateBanner + "3 3\n", `A.mtx:2: found "3 3": the size line has the numbers of rows, columns and entries`},
	{"long array size line", arrayBanner + "3 3 9\n", `A.mtx:2: found "3 3 9": the size line has the numbers of rows and columns`},
	{"negative rows", coordinateBanner + "-3 3 1\n", `A.mtx:2: number of rows "-3": a whole number from 0 to 2147483647 is expected`},
	{"broken columns", arrayBanner + "3 3.5\n", `A.mtx:2: number of columns "3.5": a whole number from 0 to 2147483647 is expected`},
	{"too many rows", coordinateBanner + "2147483648 1 1\n", `A.mtx:2: number of rows "2147483648": a whole number from 0 to 2147483647 is expected`},
	{"overflowing columns", arrayBanner + "1 18446744073709551617\n", `A.mtx:2: number of columns "18446744073709551617": a whole number from 0 to 2147483647 is expected`},
	{"overflowing entries", coordinateBanner + "1 1 1000000000000000000\n", `A.mtx:2: number of entries "1000000000000000000": a whole number from 0 to 999999999999999999 is expected`},
	{"symmetric, not square", symmetricBanner + "3 4 1\n1 1 1\n", "A.mtx:2: 3 × 4: a symmetric matrix is square"},
	{"skew array, not square", "%%MatrixMarket matrix array real skew-symmetric\n4 3\n", "A.mtx:2: 4 × 3: a skew-symmetric matrix is square"},
	{"absurd entries", coordinateBanner + "5 5 999999999999999999\n1 1 1\n", "A.mtx:3: the file ends after 1 of 999999999999999999 entries"},
	{"absurd rows", coordinateBanner + "2000000000 2000000000 1\n1 1 1\n", "A.mtx:2: 2000000000 rows for 1 entries: beyond 1048576 rows, at most 16 rows per entry are read"},
	{"absurd rows and entries", coordinateBanner + "2000000000 2000000000 2000000000\n1 1 1\n", "A.mtx:3: the file ends after 1 of 2000000000 entries"},
	{"absurd array", arrayBanner + "2147483647 2147483647\n1\n", "A.mtx:3: the file ends after 1 of 4611686014132420609 entries"},

	{"row 0", coordinateBanner + "3 3 1\n0 1 1\n", `A.mtx:3: row "0": a whole number from 1 to 3 is expected`},
	{"row too large", coordinateBanner + "3 4 1\n4 1 1\n", `A.mtx:3: row "4": a whole number from 1 to 3 is expected`},
	{"row of letters", coordinateBanner + "3 4 1\nx 1 1\n", `A.mtx:3: row "x": a whole number from 1 to 3 is expected`},
	{"column 0", coordinateBanner + "3 3 2\n1 1 1\n\n% more\n1 0 1\n", `A.mtx:6: column "0": a whole number from 1 to 3 is expected`},
	{"negative column", coordinateBanner + "3 3 1\n1 -1 1\n", `A.mtx:3: column "-1": a whole number from 1 to 3 is expected`},
	{"column too large", patternBanner + "3 4 1\n3 5\n", `A.mtx:3: column "5": a whole number from 1 to 4 is expected`},
	{"overflowing column", coordinateBanner + "3 4 1\n1 4294967297 1\n", `A.mtx:3: column "4294967297": a whole number from 1 to 4 is expected`},
	{"no value", coordinateBanner + "3 3 1\n1 1\n", `A.mtx:3: found "1 1": an entry is a row, a column and a value`},
	{"no column", patternBanner + "3 3 1\n1\n", `A.mtx:3: found "1": an entry is a row and a column`},
	{"trailing garbage", coordinateBanner + "3 3 1\n1 1 1 x\n", `A.mtx:3: found "1 1 1 x": an entry is a row, a column and a value`},
	{"a pattern with values", patternBanner + "3 3 1\n1 1 1\n", `A.mtx:3: found "1 1 1": an entry is a row and a column`},
	{"two values on a line", arrayBanner + "2 1\n1 2\n", `A.mtx:3: found "1 2": an entry of an array is one value`},
	{"above the diagonal", symmetricBanner + "3 3 2\n1 1 1\n1 3 1\n", "A.mtx:4: entry (1, 3) is above the diagonal: of a symmetric matrix only the lower triangle is given"},
	{"skew, on the diagonal", skewBanner + "3 3 1\n2 2 1\n", "A.mtx:3: entry (2, 2) is on the diagonal, which is 0 in a skew-symmetric matrix and not given"},

	{"a word", coordinateBanner + "3 3 1\n1 1 one\n", `A.mtx:3: value "one": a finite decimal number is expected`},
	{"two points", arrayBanner + "1 1\n1.2.3\n", `A.mtx:3: value "1.2.3": a finite decimal number is expected`},
	{"a comma", arrayBanner + "1 1\n1,5\n", `A.mtx:3: value "1,5": a finite decimal number is expected`},
	{"NaN", arrayBanner + "1 1\nNaN\n", `A.mtx:3: value "NaN": a finite decimal number is expected`},
	{"infinity", coordinateBanner + "1 1 1\n1 1 -Inf\n", `A.mtx:3: value "-Inf": a finite decimal number is expected`},
	{"too large", arrayBanner + "1 1\n-1e999\n", `A.mtx:3: value "-1e999" is beyond the range of a float64`},
	{"hexadecimal", arrayBanner + "1 1\n0x1p-2\n", `A.mtx:3: value "0x1p-2": a finite decimal number is expected`},
	{"underscores", arrayBanner + "1 1\n1_000\n", `A.mtx:3: value "1_000": a finite decimal number is expected`},
	{"a broken integer", skewBanner + "2 2 1\n2 1 1.5\n", `A.mtx:3: value "1.5": an integer is expected`},
	{"a bare sign", "%%MatrixMarket matrix array integer general\n1 1\n-\n", `A.mtx:3: value "-": an integer is expected`},
	{"a sum too large", coordinateBanner + "2 2 2\n2 1 1.5e308\n2 1 1.5e308\n", "A.mtx: the entries for (2, 1) add up to more than a float64 holds"},

	{"too few entries", coordinateBanner + "3 3 3\n1 1 1\n2 2 2\n% the end\n", "A.mtx:5: the file ends after 2 of 3 entries"},
	{"too few values", arrayBanner + "2 2\n1\n2\n3", "A.mtx:5: the file ends after 3 of 4 entries"},
	{"too few symmetric values", "%%MatrixMarket matrix array real symmetric\n2 2\n1\n2\n", "A.mtx:4: the file ends after 2 of 3 entries"},
	{"too many entries", coordinateBanner + "3 3 1\n1 1 1\n2 2 2\n", `A.mtx:4: found "2 2 2" after the last of 1 entries`},
	{"too many values", arrayBanner + "1 1\n1\n\n2\n", `A.mtx:5: found "2" after the last of 1 entries`},
	{"values for both triangles", "%%MatrixMarket matrix array real symmetric\n2 2\n1\n2\n2\n3\n", `A.mtx:6: found "3" after the last of 3 entries`},
	{"a long line", arrayBanner + "1 1\n" + strings.Repeat(" ", 70_000) + "1\n", "A.mtx:3: the line is longer than 65536 bytes"},
	{"a long number", arrayBanner + "1 1\n" + strings.Repeat("x", 100) + "\n", `A.mtx:3: value "` + strings.Repeat("x", 40) + `"…: a finite decimal number is expected`},
	{"one long line", strings.Repeat("%", 70_000), "A.mtx:1: the line is longer than 65536 bytes"},
}

func TestMalformedFiles(t *testing.T) {
	for _, test := range malformed {
		t.Run(test.name, func(t *testing.T) {
			matrix, err := Read(strings.NewReader(test.file), "A.mtx")
			if err == nil {
				t.Fatal("no error")
			}
			if err.Error() != test.want {
				t.Errorf("got  %s\nwant %s", err, test.want)
			}
			var syntax *SyntaxError
			if !errors.As(err, &syntax) {
				t.Errorf("the error is a %T", err)
			}
			if matrix != nil {
				t.Errorf("a matrix of %T beside the error", matrix)
			}
		})
	}
}

func TestVectorsHaveOneColumn(t *testing.T) {
	_, err := ReadVector(strings.NewReader(arrayBanner+"1 2\n1\n2\n"), "b.mtx")
	if want := "b.mtx: 1 × 2: a vector has one column"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if _, err := ReadVector(strings.NewReader(""), "b.mtx"); err == nil {
		t.Error("no error for an empty file")
	}
}

// Wherever the reader fails, its error comes out, with the line.
func TestReaderFails(t *testing.T) {
	failure := errors.New("the disk is gone")
	const file = "%%MatrixMarket matrix coordinate real general\n% c\n2 2 2\n1 1 1\n2 2 2\n"
	for end := range len(file) + 1 {
		r := io.MultiReader(strings.NewReader(file[:end]), iotest.ErrReader(failure))
		if _, err := Read(r, "A.mtx"); !errors.Is(err, failure) {
			t.Errorf("after %d bytes: %v", end, err)
		}
	}
	r := io.MultiReader(strings.NewReader(arrayBanner+"2 2\n1\n%"+strings.Repeat("c", 100_000)), iotest.ErrReader(failure))
	if _, err := Read(r, "A.mtx"); err == nil || err.Error() != "A.mtx:4: the disk is gone" {
		t.Errorf("in a long comment: %v", err)
	}
}

// What is allocated follows what a file has, not what it promises.
func TestPromisesAllocateNothing(t *testing.T) {
	for _, file := range []string{
		coordinateBanner + "2000000000 2000000000 900000000000000000\n1 1 1\n",
		coordinateBanner + "2000000000 2000000000 0\n",
		arrayBanner + "2147483647 2147483647\n1\n",
		arrayBanner + "2147483647 0\n",
		"%%MatrixMarket matrix array real symmetric\n2147483647 2147483647\n1\n",
	} {
		const most = 1 << 20
		if bytes := allocated(func() { Read(strings.NewReader(file), "A.mtx") }); bytes > most { //nolint:errcheck // an error or not
			t.Errorf("%d bytes allocated for %q", bytes, file)
		}
	}
}
