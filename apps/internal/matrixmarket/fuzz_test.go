package matrixmarket

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

// Whatever a file holds: reading it ends, allocates no more than the file explains, and gives an
// error with the file's name or a matrix in good order.
func FuzzRead(f *testing.F) {
	for _, test := range malformed {
		f.Add([]byte(test.file))
	}
	f.Add([]byte(coordinateBanner + "3 4 4\n3 4 34\n1 2 12.5\n3 1 -3.1e1\n1 1 +.5\n"))
	f.Add([]byte(symmetricBanner + "3 3 3\n1 1 1\n3 1 31\n3 2 32\n"))
	f.Add([]byte("%%MatrixMarket matrix array integer skew-symmetric\r\n3 3\r\n21\r\n31\r\n-32\r\n"))

	f.Fuzz(func(t *testing.T, file []byte) {
		var matrix Matrix
		var err error
		bytes := allocated(func() { matrix, err = Read(bytes.NewReader(file), "A.mtx") })
		// The buffer, row pointers for as many rows as are free, and the entries.
		if most := uint64(1<<20 + 8*freeRows + 256*len(file)); bytes > most {
			t.Errorf("%d bytes allocated for a file of %d", bytes, len(file))
		}
		if err != nil {
			var syntax *SyntaxError
			if !errors.As(err, &syntax) || !strings.HasPrefix(err.Error(), "A.mtx:") || matrix != nil {
				t.Errorf("error %v beside %v", err, matrix)
			}
			return
		}
		switch m := matrix.(type) {
		case *CSR:
			if err := check(m); err != nil {
				t.Error(err)
			}
		case *Dense:
			rewrite(t, m)
		}
	})
}

// rewrite checks that a matrix is written and read back as it is.
func rewrite(t *testing.T, m *Dense) {
	var file bytes.Buffer
	if len(m.Val) != m.Rows*m.Columns {
		t.Fatalf("%d values of %d × %d", len(m.Val), m.Rows, m.Columns)
	}
	if len(m.Val) == 0 {
		return // however many rows of nothing
	}
	if err := Write(&file, m); err != nil {
		t.Fatal(err)
	}
	again, err := Read(&file, "again.mtx")
	if err != nil {
		t.Fatal(err)
	}
	if !sameBits(again.(*Dense).Val, m.Val) {
		t.Errorf("%v became %v", m, again)
	}
}
