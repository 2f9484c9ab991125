package matrixmarket

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func finite() *rapid.Generator[float64] {
	return rapid.OneOf(
		rapid.Float64(),
		rapid.Map(rapid.IntRange(-1000, 1000), func(n int) float64 { return float64(n) / 8 }),
		rapid.Just(math.Copysign(0, -1)),
		rapid.Just(math.SmallestNonzeroFloat64),
		rapid.Just(math.MaxFloat64),
	)
}

func sameBits(a, b []float64) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if math.Float64bits(a[i]) != math.Float64bits(b[i]) {
			return false
		}
	}
	return true
}

func TestWrittenMatricesAreReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &Dense{Rows: rapid.IntRange(0, 20).Draw(t, "rows"), Columns: rapid.IntRange(0, 20).Draw(t, "columns")}
		m.Val = rapid.SliceOfN(finite(), m.Rows*m.Columns, m.Rows*m.Columns).Draw(t, "values")
		var file bytes.Buffer
		if err := Write(&file, m); err != nil {
			t.Fatal(err)
		}
		again, err := Read(&file, "x.mtx")
		if err != nil {
			t.Fatal(err)
		}
		got := again.(*Dense)
		if got.Rows != m.Rows || got.Columns != m.Columns || !sameBits(got.Val, m.Val) {
			t.Fatalf("%v became %v", m, got)
		}
	})
}

func TestWrittenVectorsAreReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := rapid.SliceOf(finite()).Draw(t, "x")
		var file bytes.Buffer
		if err := WriteVector(&file, x); err != nil {
			t.Fatal(err)
		}
		got, err := ReadVector(&file, "x.mtx")
		if err != nil || !sameBits(got, x) {
			t.Fatalf("%v became %v, %v", x, got, err)
		}
	})
}

// drawn is a coordinate file and what it means.
type drawn struct {
	file string
	want *Dense
	nnz  int // different places
}

// draw draws a file: any order, duplicates, and any spaces, comments and line endings between.
func draw(t *rapid.T) drawn {
	kind := rapid.SampledFrom([]symmetry{general, symmetric, skew}).Draw(t, "symmetry")
	kinds := []field{reals, integers, pattern}
	if kind == skew {
		kinds = kinds[:2]
	}
	values := rapid.SampledFrom(kinds).Draw(t, "field")
	rows := rapid.IntRange(1, 12).Draw(t, "rows")
	columns := rows
	if kind == general {
		columns = rapid.IntRange(1, 12).Draw(t, "columns")
	}
	space := rapid.SampledFrom([]string{" ", "  ", "\t"})
	ending := rapid.SampledFrom([]string{"\n", "\r\n", " \n", "\n\n", "\n% c\n", "\n \t\n%%\n"})

	var lines strings.Builder
	want := &Dense{Rows: rows, Columns: columns, Val: make([]float64, rows*columns)}
	places := map[[2]int]bool{}
	entries := 0
	for range rapid.IntRange(0, 60).Draw(t, "entries") {
		i, j := rapid.IntRange(0, rows-1).Draw(t, "i"), rapid.IntRange(0, columns-1).Draw(t, "j")
		if kind != general && i < j {
			i, j = j, i
		}
		if kind == skew && i == j {
			continue
		}
		entries++
		v := 1.0
		fmt.Fprint(&lines, space.Draw(t, "space"), i+1, space.Draw(t, "space"), j+1)
		switch values {
		case reals:
			v = rapid.Float64Range(-1e300, 1e300).Draw(t, "value")
			fmt.Fprintf(&lines, "%s%.17g", space.Draw(t, "space"), v)
		case integers:
			n := rapid.Int32().Draw(t, "value")
			v = float64(n)
			fmt.Fprintf(&lines, "%s%+d", space.Draw(t, "space"), n)
		case pattern:
		}
		lines.WriteString(ending.Draw(t, "ending"))
		places[[2]int{i, j}] = true
		want.Val[i*columns+j] += v
		if kind != general && i != j {
			places[[2]int{j, i}] = true
			if kind == skew {
				v = -v
			}
			want.Val[j*columns+i] += v
		}
	}
	file := fmt.Sprintf("%%%%MatrixMarket matrix coordinate %s %s%s%d %d %d\n%s",
		values, kind, ending.Draw(t, "ending"), rows, columns, entries, &lines)
	return drawn{file, want, len(places)}
}

func TestCoordinateFilesMeanWhatTheirEntriesSay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := draw(t)
		matrix, err := Read(strings.NewReader(d.file), "A.mtx")
		if err != nil {
			t.Fatalf("%v\n%s", err, d.file)
		}
		m := matrix.(*CSR)
		if err := check(m); err != nil {
			t.Fatalf("%v\n%s", err, d.file)
		}
		if len(m.Val) != d.nnz {
			t.Fatalf("%d values for %d places\n%s", len(m.Val), d.nnz, d.file)
		}
		got := make([]float64, len(d.want.Val))
		for i := range m.Rows {
			columns, values := m.Row(i)
			for k, j := range columns {
				got[i*m.Columns+int(j)] = values[k]
			}
		}
		for k := range got {
			if got[k] != d.want.Val[k] {
				t.Fatalf("(%d, %d) is %g instead of %g\n%s", k/m.Columns+1, k%m.Columns+1, got[k], d.want.Val[k], d.file)
			}
		}
	})
}

func TestSparseAndDenseAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := draw(t)
		sparse, err := Read(strings.NewReader(d.file), "A.mtx")
		if err != nil {
			t.Fatal(err)
		}
		var file bytes.Buffer
		if err := Write(&file, d.want); err != nil {
			t.Fatal(err)
		}
		dense, err := Read(&file, "B.mtx")
		if err != nil {
			t.Fatal(err)
		}
		rows, columns := sparse.Dims()
		if r, c := dense.Dims(); r != rows || c != columns {
			t.Fatalf("%d × %d and %d × %d", rows, columns, r, c)
		}
		equal := func(what string, a, b []float64) {
			for i := range a {
				if a[i] != b[i] {
					t.Fatalf("%s %d: %g and %g\n%s", what, i, a[i], b[i], d.file)
				}
			}
		}
		equal("diagonal", sparse.Diagonal(), dense.Diagonal())
		// Both add the same products in the same order; the dense ones have zeros between.
		x := rapid.SliceOfN(rapid.Float64Range(-1e3, 1e3), columns, columns).Draw(t, "x")
		y, z := make([]float64, rows), make([]float64, rows)
		for i := range y {
			y[i], z[i] = 1, 2
		}
		sparse.MulVec(y, x)
		dense.MulVec(z, x)
		equal("product", y, z)
	})
}

// check checks what must hold for every CSR.
func check(m *CSR) error {
	if len(m.RowPtr) != m.Rows+1 || m.RowPtr[0] != 0 || m.RowPtr[m.Rows] != len(m.Col) || len(m.Col) != len(m.Val) {
		return fmt.Errorf("%d rows, %d row pointers %v, %d columns, %d values", m.Rows, len(m.RowPtr), m.RowPtr, len(m.Col), len(m.Val))
	}
	for i := range m.Rows {
		if m.RowPtr[i] > m.RowPtr[i+1] {
			return fmt.Errorf("row %d is from %d to %d", i, m.RowPtr[i], m.RowPtr[i+1])
		}
		columns, values := m.Row(i)
		for k, j := range columns {
			if j < 0 || int(j) >= m.Columns || k > 0 && j <= columns[k-1] {
				return fmt.Errorf("row %d has the columns %d", i, columns)
			}
			if v := values[k]; math.IsNaN(v) || math.IsInf(v, 0) {
				return fmt.Errorf("(%d, %d) is %g", i, j, v)
			}
		}
	}
	return nil
}
