package linear

import (
	"bytes"
	"errors"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unsafe"
)

// kernel is the executors' function library, and a program that calls it without an executor.
type kernel struct{ library, caller, dir string }

func buildKernel(t *testing.T) kernel {
	t.Helper()
	dir := t.TempDir()
	include := filepath.Join(dir, "include", "sublet")
	header, err := os.ReadFile("../../../internal/fabric/function.h")
	if err == nil {
		err = os.MkdirAll(include, 0o755)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(include, "function.h"), header, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	k := kernel{filepath.Join(dir, "libjacobi.so"), filepath.Join(dir, "call"), dir}
	compile(t, dir, "-fPIC", "-shared", "-o", k.library, "../kernel/jacobi.c", "../kernel/sparse.c")
	compile(t, dir, "-o", k.caller, "testdata/call.c", "-ldl")
	return k
}

func compile(t *testing.T, dir string, args ...string) {
	t.Helper()
	compiler := os.Getenv("CC")
	if compiler == "" {
		compiler = "cc"
	}
	flags := []string{"-O3", "-Wall", "-Wextra", "-Werror", "-I", filepath.Join(dir, "include")}
	flags = append(flags, strings.Fields(os.Getenv("CFLAGS"))...)
	if out, err := exec.CommandContext(t.Context(), compiler, append(flags, args...)...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", compiler, err, out)
	}
}

// sweep has the library do what Block.Sweep does, for the whole block. The error is the function's.
func (k kernel) sweep(t *testing.T, function string, block []byte, x []float64, capacity int) ([]float64, error) {
	t.Helper()
	constant, input := filepath.Join(k.dir, "constant"), filepath.Join(k.dir, "input")
	if err := errors.Join(os.WriteFile(constant, block, 0o600), os.WriteFile(input, bytesOf(x), 0o600)); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), k.caller, k.library, function, constant, input, strconv.Itoa(capacity)).Output()
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		if failed.ExitCode() != 3 {
			t.Fatalf("%v: %s", err, failed.Stderr)
		}
		return nil, errors.New(strings.TrimSpace(string(failed.Stderr)))
	}
	if err != nil {
		t.Fatal(err)
	}
	next := make([]float64, len(out)/8)
	copy(bytesOf(next), out)
	return next, nil
}

func bytesOf(values []float64) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(values))), len(values)*8)
}

func placed(t *testing.T, s System, lo, hi int) (*Block, []byte) {
	t.Helper()
	memory := bytesOf(make([]float64, s.Bytes(lo, hi)/8))
	block, err := s.Place(lo, hi, memory)
	if err != nil {
		t.Fatal(err)
	}
	return block, memory
}

func vector(s System, random *rand.Rand) []float64 {
	x := make([]float64, Stride(s.N))
	for i := range x[:s.N] {
		x[i] = 2*random.Float64() - 1
	}
	return x
}

// How closely the kernels agree decides whether it matters who computes a row. On x86-64 they form
// the same sums in the same order, so nothing at all may differ; elsewhere gonum has no assembler,
// and they differ by rounding: at most what adding a row's numbers up in any order can differ by.
func TestKernelsAgree(t *testing.T) {
	k := buildKernel(t)
	random := rand.New(rand.NewPCG(1, 2))
	for _, shape := range []struct{ n, lo, hi int }{
		{1, 0, 1},
		{2, 1, 2},
		{3, 0, 3},
		{7, 2, 7},
		{8, 0, 8},
		{9, 3, 9},
		{16, 5, 5},
		{100, 0, 50},
		{101, 50, 101},
		{250, 3, 250},
		{1000, 500, 1000},
		{1023, 1, 1022},
	} {
		s := System{N: shape.n, Seed: 7, Dominance: 1.1}
		block, memory := placed(t, s, shape.lo, shape.hi)
		x := vector(s, random)
		want := make([]float64, Stride(s.N))
		block.Sweep(want, x, shape.lo, shape.hi)
		got, err := k.sweep(t, "jacobi_sweep", memory, x, 8*block.Rows)
		if err != nil || len(got) != block.Rows {
			t.Fatalf("%+v: %d numbers, %v", shape, len(got), err)
		}
		for i := range got {
			row := block.Matrix.(*Dense).Row(i)
			sum := math.Abs(block.RHS[i])
			for j, a := range row {
				sum += math.Abs(a * x[j])
			}
			allowed := 0.0
			if runtime.GOARCH != "amd64" {
				allowed = 0x1p-52 * float64(s.N) * sum / block.Diagonal[i]
			}
			if difference := math.Abs(got[i] - want[shape.lo+i]); !(difference <= allowed) {
				t.Fatalf("%+v: row %d is %v in C and %v in Go, %g apart; at most %g is rounding",
					shape, shape.lo+i, got[i], want[shape.lo+i], difference, allowed)
			}
		}
	}
}

// Whichever of a block's rows are meant, they are what they are in the whole block.
func TestKernelsSelect(t *testing.T) {
	k := buildKernel(t)
	random := rand.New(rand.NewPCG(11, 12))
	const n, lo, hi = 61, 7, 50
	for function, block := range map[string]*Block{
		"jacobi_sweep":        System{N: n, Seed: 7, Dominance: 1.1}.Block(lo, hi),
		"jacobi_sweep_sparse": sparse(n, lo, hi, random),
	} {
		x := vector(System{N: n}, random)
		whole, err := k.sweep(t, function, block.Memory(), x, 8*(hi-lo))
		if err != nil {
			t.Fatal(err)
		}
		for _, rows := range [][2]int{{lo, hi}, {lo, lo}, {hi, hi}, {lo, lo + 1}, {lo + 1, hi}, {lo + 3, hi - 2}, {20, 23}, {hi - 1, hi}} {
			skipped := append(slices.Clone(x), make([]float64, rows[0]-lo)...)
			got, err := k.sweep(t, function, block.Memory(), skipped, 8*(rows[1]-rows[0]))
			if err != nil || !slices.Equal(got, whole[rows[0]-lo:rows[1]-lo]) {
				t.Errorf("%s, rows %v: %v, %v", function, rows, got, err)
			}
		}
		// More room than there are rows is no harm.
		if got, err := k.sweep(t, function, block.Memory(), x, 8*(hi-lo)+16); err != nil || !slices.Equal(got, whole) {
			t.Errorf("%s, into a larger output: %v, %v", function, got, err)
		}
	}
}

// The library believes nothing that it is sent.
func TestKernelRefuses(t *testing.T) {
	k := buildKernel(t)
	s := System{N: 20, Seed: 1, Dominance: 1.1}
	_, good := placed(t, s, 4, 10)
	x := vector(s, rand.New(rand.NewPCG(3, 4)))
	word := func(index int, value uint64) []byte {
		changed := bytes.Clone(good)
		*(*uint64)(unsafe.Pointer(&changed[8*index])) = value
		return changed
	}
	for _, test := range []struct {
		name     string
		block    []byte
		x        []float64
		capacity int
		want     string
	}{
		{"no constant", nil, x, 48, "1 needs 1 constant, the block of rows; got 0"},
		{"short constant", good[:40], x, 48, "2 the constant is not a block of dense rows"},
		{"other constant", word(0, 1), x, 48, "2 the constant is not a block of dense rows"},
		{"no system", word(1, 0), x, 48, "2 the block says that it has 6 rows from row 4 on of a system of 0"},
		{"too large a system", word(1, 1<<63), x, 48, "2 the block says"},
		{"wrong stride", word(2, 32), x, 48, "2 the block says"},
		{"rows behind the end", word(3, 15), x, 48, "2 the block says that it has 6 rows from row 15 on"},
		{"first row far away", word(3, 1<<63), x, 48, "2 the block says"},
		{"more rows than there are", word(4, 14), x, 200, "2 the block has"},
		{"cut off", good[:len(good)-8], x, 48, "2 the block has"},
		{"short x", good, x[:20], 48, "3 x has 160 bytes; the block needs 192"},
		{"output cut short", good, x, 47, "4 the output has 47 bytes, which are no whole rows"},
		{"more skipped than there are", good, append(slices.Clone(x), make([]float64, 7)...), 48, "3 x has 248 bytes; the block needs 192, and 8 for each of its 6 rows that is skipped"},
	} {
		_, err := k.sweep(t, "jacobi_sweep", test.block, test.x, test.capacity)
		if err == nil || !strings.HasPrefix(err.Error(), test.want) {
			t.Errorf("%s: %v; want %s", test.name, err, test.want)
		}
	}
}

// sparse makes a system of sparse rows, with empty ones off the diagonal and full ones among them.
func sparse(n, lo, hi int, random *rand.Rand) *Block {
	coefficients := make([]map[int32]float64, hi-lo)
	entries := 0
	for i := range coefficients {
		coefficients[i] = map[int32]float64{int32(lo + i): 10 + random.Float64()}
		for range random.IntN(n+1) / (1 + random.IntN(n+1)) {
			coefficients[i][int32(random.IntN(n))] += random.Float64() - 0.5
		}
		entries += len(coefficients[i])
	}
	block := NewSparse(n, lo, hi, entries)
	rows := block.Matrix.(*Sparse)
	at := int64(0)
	for i, row := range coefficients {
		block.RHS[i], block.Diagonal[i] = random.Float64(), row[int32(lo+i)]
		for _, column := range slices.Sorted(maps.Keys(row)) {
			rows.Columns[at], rows.Values[at] = column, row[column]
			at++
		}
		rows.Starts[i+1] = at
	}
	return block
}

func TestSparseKernelsAgree(t *testing.T) {
	k := buildKernel(t)
	random := rand.New(rand.NewPCG(1, 2))
	for _, shape := range []struct{ n, lo, hi int }{{1, 0, 1}, {2, 1, 2}, {7, 2, 7}, {16, 5, 5}, {100, 0, 50}, {101, 33, 97}, {1000, 500, 1000}} {
		block := sparse(shape.n, shape.lo, shape.hi, random)
		x := vector(System{N: shape.n}, random)
		want := make([]float64, Stride(shape.n))
		block.Sweep(want, x, shape.lo, shape.hi)
		got, err := k.sweep(t, "jacobi_sweep_sparse", block.Memory(), x, 8*block.Rows)
		if err != nil || len(got) != block.Rows {
			t.Fatalf("%+v: %d numbers, %v", shape, len(got), err)
		}
		for i := range got {
			allowed := 0.0
			if runtime.GOARCH != "amd64" { // where products and sums may be rounded at once
				allowed = 1e-13
			}
			if difference := math.Abs(got[i] - want[shape.lo+i]); !(difference <= allowed) {
				t.Fatalf("%+v: row %d is %v in C and %v in Go", shape, shape.lo+i, got[i], want[shape.lo+i])
			}
		}
	}
}

func TestSparseKernelRefuses(t *testing.T) {
	k := buildKernel(t)
	block := sparse(40, 2, 40, rand.New(rand.NewPCG(3, 4)))
	x := vector(System{N: 40}, rand.New(rand.NewPCG(5, 6)))
	changed := func(change func(b *Block, rows *Sparse)) []byte {
		other, err := Open(bytes.Clone(block.Memory()))
		if err != nil {
			t.Fatal(err)
		}
		change(other, other.Matrix.(*Sparse))
		return other.Memory()
	}
	word := func(index int, value uint64) []byte {
		return changed(func(b *Block, _ *Sparse) { b.words[index] = math.Float64frombits(value) })
	}
	for _, test := range []struct {
		name  string
		block []byte
		skip  int // rows
		want  string
	}{
		{"dense block", System{N: 40, Dominance: 1.1}.Block(2, 40).Memory(), 0, "2 the constant is not a block of sparse rows"},
		{"wrong stride", word(2, 48), 0, "2 the block says"},
		{"no end of coefficients", word(5, 1<<62), 0, "2 the block has"},
		{"cut off", block.Memory()[:len(block.Memory())-8], 0, "2 the block has"},
		{"column of another matrix", changed(func(_ *Block, rows *Sparse) { rows.Columns[len(rows.Columns)-1] = 40 }), 0, "2 among the block's rows 32 to 37"},
		{"column below 0", changed(func(_ *Block, rows *Sparse) { rows.Columns[0] = -1 }), 0, "2 among the block's rows 0 to 31"},
		{"smallest column", changed(func(_ *Block, rows *Sparse) { rows.Columns[0] = math.MinInt32 }), 0, "2 among the block's rows 0 to 31"},
		{"row that goes back", changed(func(_ *Block, rows *Sparse) { rows.Starts[3] = -8 }), 0, "2 among the block's rows 0 to 31"},
		{"row that goes too far", changed(func(_ *Block, rows *Sparse) { rows.Starts[3] = 1 << 40 }), 0, "2 among the block's rows 0 to 31"},
		{"first row elsewhere", changed(func(_ *Block, rows *Sparse) { rows.Starts[0] = -1 << 40 }), 0, "2 the block's rows are not"},
		{"row behind others elsewhere", changed(func(_ *Block, rows *Sparse) { rows.Starts[10] = -8 }), 10, "2 the block's rows are not"},
		{"row behind others that goes too far", changed(func(_ *Block, rows *Sparse) { rows.Starts[10] = 1 << 40 }), 10, "2 among the block's rows 10 to 37"},
		{"more skipped than there are", block.Memory(), 39, "3 x has"},
		{"too few rows", changed(func(_ *Block, rows *Sparse) { rows.Starts[38]-- }), 0, "2 the block's rows are not"},
	} {
		_, err := k.sweep(t, "jacobi_sweep_sparse", test.block, append(slices.Clone(x), make([]float64, test.skip)...), 8*38)
		if err == nil || !strings.HasPrefix(err.Error(), test.want) {
			t.Errorf("%s: %v; want %s", test.name, err, test.want)
		}
	}
}

// A part of a block, opened by somebody else, is the same rows.
func TestBlocksAreGivenAway(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	x := vector(System{N: 50}, random)
	for name, block := range map[string]*Block{"dense": System{N: 50, Seed: 3, Dominance: 1.1}.Block(10, 45), "sparse": sparse(50, 10, 45, random)} {
		want := make([]float64, Stride(50))
		block.Sweep(want, x, 10, 45)
		for _, part := range [][2]int{{10, 45}, {10, 11}, {20, 20}, {13, 40}, {44, 45}} {
			lo, hi := part[0], part[1]
			memory := bytesOf(make([]float64, block.Bytes(lo, hi)/8))
			if _, err := block.Copy(lo, hi, memory); err != nil {
				t.Fatal(err)
			}
			opened, err := Open(memory)
			if err != nil {
				t.Fatal(err)
			}
			got := make([]float64, Stride(50))
			opened.Sweep(got, x, lo, hi)
			if opened.First != lo || opened.Rows != hi-lo || !slices.Equal(got[lo:hi], want[lo:hi]) {
				t.Errorf("%s, rows %d to %d: not the same", name, lo, hi)
			}
			if len(memory) > 64 {
				if _, err := Open(memory[:len(memory)-8]); err == nil {
					t.Errorf("%s: a block that was cut off was opened", name)
				}
			}
			if _, err := block.Copy(lo, hi, memory[:len(memory)-8]); err == nil {
				t.Errorf("%s: too little memory was taken", name)
			}
		}
	}
	for _, bad := range [][]byte{nil, make([]byte, 60), make([]byte, 64), make([]byte, 640)} {
		if _, err := Open(bad); err == nil {
			t.Errorf("%d bytes of nothing are a block", len(bad))
		}
	}
}
