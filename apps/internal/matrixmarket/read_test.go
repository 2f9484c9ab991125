package matrixmarket

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

// allocated is how many bytes of heap f asks for.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func read(t testing.TB, file string) Matrix {
	t.Helper()
	m, err := Read(strings.NewReader(file), "A.mtx")
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestRead(t *testing.T) {
	for _, test := range []struct {
		name, file string
		want       Matrix
	}{
		{
			"coordinate", coordinateBanner + "3 4 4\n3 4 34\n1 2 12.5\n3 1 -3.1e1\n1 1 +.5\n",
			&CSR{3, 4, []int{0, 2, 2, 4}, []int32{0, 1, 0, 3}, []float64{.5, 12.5, -31, 34}},
		},
		{
			"duplicates are added up, zeros are stored", coordinateBanner + "2 2 5\n2 1 1\n1 1 0\n2 2 5\n2 1 2\n2 1 4\n",
			&CSR{2, 2, []int{0, 1, 3}, []int32{0, 0, 1}, []float64{0, 7, 5}},
		},
		{
			"symmetric", symmetricBanner + "3 3 3\n1 1 1\n3 1 31\n3 2 32\n",
			&CSR{3, 3, []int{0, 2, 3, 5}, []int32{0, 2, 2, 0, 1}, []float64{1, 31, 32, 31, 32}},
		},
		{
			"skew-symmetric", skewBanner + "2 2 1\n2 1 -7\n",
			&CSR{2, 2, []int{0, 1, 2}, []int32{1, 0}, []float64{7, -7}},
		},
		{
			"pattern", patternBanner + "2 3 3\n1 3\n2 1\n1 3\n",
			&CSR{2, 3, []int{0, 1, 2}, []int32{2, 0}, []float64{2, 1}},
		},
		{
			"symmetric pattern", "%%MatrixMarket matrix coordinate pattern symmetric\n2 2 2\n1 1\n2 1\n",
			&CSR{2, 2, []int{0, 2, 3}, []int32{0, 1, 0}, []float64{1, 1, 1}},
		},
		{"no entries", coordinateBanner + "2 5 0", &CSR{2, 5, []int{0, 0, 0}, []int32{}, []float64{}}},
		{"nothing", coordinateBanner + "0 0 0", &CSR{0, 0, []int{0}, []int32{}, []float64{}}},

		{"array", arrayBanner + "2 3\n11\n21\n12\n22\n13\n23\n", &Dense{2, 3, []float64{11, 12, 13, 21, 22, 23}}},
		{
			"symmetric array", "%%MatrixMarket matrix array integer symmetric\n3 3\n11\n21\n31\n22\n32\n33\n",
			&Dense{3, 3, []float64{11, 21, 31, 21, 22, 32, 31, 32, 33}},
		},
		{
			"skew-symmetric array", "%%MatrixMarket matrix array real skew-symmetric\n3 3\n21\n31\n-32\n",
			&Dense{3, 3, []float64{0, -21, -31, 21, 0, 32, 31, -32, 0}},
		},
		{"large integers are rounded", "%%MatrixMarket matrix array integer general\n2 1\n9007199254740993\n100000000000000000000\n", &Dense{2, 1, []float64{1 << 53, 1e20}}},
		{"tiny values", arrayBanner + "3 1\n5e-324\n1e-400\n-0\n", &Dense{3, 1, []float64{5e-324, 0, math.Copysign(0, -1)}}},

		{"upper case", "%%MATRIXMARKET MATRIX Array REAL General\n1 1\n1E2\n", &Dense{1, 1, []float64{100}}},
		{"CR LF", strings.ReplaceAll(arrayBanner+"% c\n\n2 1\n1\n\n2\n\n", "\n", "\r\n"), &Dense{2, 1, []float64{1, 2}}},
		{"comments, blanks and no last line ending", arrayBanner + "% c\n \t\n  2\t1  \n%\n\n \t1 \n % indented\n2", &Dense{2, 1, []float64{1, 2}}},
		{
			"comments of any length", arrayBanner + "%" + strings.Repeat("c", 1_000_000) + "\n1 1\n1\n%" + strings.Repeat("c", 200_000),
			&Dense{1, 1, []float64{1}},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, read(t, test.file)); diff != "" {
				t.Errorf("matrix (-want +got):\n%s", diff)
			}
			// However the bytes come.
			m, err := Read(iotest.DataErrReader(iotest.HalfReader(strings.NewReader(test.file))), "A.mtx")
			if diff := cmp.Diff(test.want, m); diff != "" || err != nil {
				t.Errorf("in pieces: %v (-want +got):\n%s", err, diff)
			}
		})
	}
}

func TestReadVector(t *testing.T) {
	for file, want := range map[string][]float64{
		arrayBanner + "3 1\n1\n-2\n3e-1\n":                    {1, -2, .3},
		coordinateBanner + "3 1 2\n3 1 7\n1 1 5\n":            {5, 0, 7},
		patternBanner + "2 1 1\n2 1\n":                        {0, 1},
		symmetricBanner + "1 1 1\n1 1 4\n":                    {4},
		arrayBanner + "0 1\n":                                 nil,
		strings.ReplaceAll(arrayBanner, " ", "  ") + "1 1\n9": {9},
	} {
		got, err := ReadVector(strings.NewReader(file), "b.mtx")
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%q: %v (-want +got):\n%s", file, err, diff)
		}
	}
}

func TestProgress(t *testing.T) {
	file := arrayBanner + "30000 1\n" + strings.Repeat("1.25\n", 30000)
	var reports []int64
	r := WithProgress(strings.NewReader(file), func(read int64) { reports = append(reports, read) })
	if _, err := Read(r, "x.mtx"); err != nil {
		t.Fatal(err)
	}
	if len(reports) < 3 || !slices.IsSorted(reports) || reports[len(reports)-1] != int64(len(file)) {
		t.Errorf("reports %d of %d bytes", reports, len(file))
	}
}

func TestWriteRefusesWhatCanNotBeRead(t *testing.T) {
	for value, name := range map[float64]string{math.Inf(-1): "-Inf", math.NaN(): "NaN"} {
		var file bytes.Buffer
		err := Write(&file, &Dense{2, 2, []float64{1, 2, value, 4}})
		if want := "row 2, column 1 is " + name + ": a MatrixMarket file has finite values only"; err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
		if file.Len() > 0 {
			t.Errorf("%q was written", &file)
		}
	}
}

func TestWriteFails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.mtx")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(path) // for reading only
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := WriteVector(file, make([]float64, 10_000)); err == nil {
		t.Error("no error from a file that can not be written")
	}
}
