package matrixmarket

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
)

// laplacian is the file of a five-point stencil on a grid of n × n, with values of full length.
func laplacian(n int) []byte {
	random := rand.New(rand.NewPCG(1, 2))
	var lines bytes.Buffer
	entries := 0
	put := func(row, column int) {
		entries++
		fmt.Fprintf(&lines, "%d %d %.16e\n", row+1, column+1, random.NormFloat64())
	}
	for i := range n * n {
		put(i, i)
		if (i+1)%n != 0 {
			put(i+1, i)
			put(i, i+1)
		}
		if i+n < n*n {
			put(i+n, i)
			put(i, i+n)
		}
	}
	return append(fmt.Appendf(nil, "%s%d %d %d\n", coordinateBanner, n*n, n*n, entries), lines.Bytes()...)
}

func random(n int) *Dense {
	random := rand.New(rand.NewPCG(1, 2))
	m := &Dense{Rows: n, Columns: n, Val: make([]float64, n*n)}
	for i := range m.Val {
		m.Val[i] = random.NormFloat64()
	}
	return m
}

func benchmarkRead(b *testing.B, file []byte) {
	b.SetBytes(int64(len(file)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Read(bytes.NewReader(file), "A.mtx"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReadCoordinate(b *testing.B) { benchmarkRead(b, laplacian(200)) }

func BenchmarkReadArray(b *testing.B) {
	var file bytes.Buffer
	if err := Write(&file, random(500)); err != nil {
		b.Fatal(err)
	}
	benchmarkRead(b, file.Bytes())
}

func BenchmarkWrite(b *testing.B) {
	m := random(500)
	var file bytes.Buffer
	if err := Write(&file, m); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(file.Len()))
	b.ReportAllocs()
	for b.Loop() {
		if err := Write(io.Discard, m); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkMulVec(b *testing.B) {
	matrix, err := Read(bytes.NewReader(laplacian(300)), "A.mtx")
	if err != nil {
		b.Fatal(err)
	}
	rows, columns := matrix.Dims()
	x, y := make([]float64, columns), make([]float64, rows)
	b.ReportAllocs()
	for b.Loop() {
		matrix.MulVec(y, x)
	}
}
