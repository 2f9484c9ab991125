package holding

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/sublet-hpc/sublet/apps/jacobi/linear"
)

// Whatever is lent and taken back, every sweep gives what the whole system's rows would, memory that is not ours is not
// looked at, and no row of ours is kept beside a lent one for long.
func TestGenerated(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		system := linear.System{N: rapid.IntRange(1, 60).Draw(t, "n"), Seed: 5, Dominance: 1.1}
		lo := rapid.IntRange(0, system.N-1).Draw(t, "lo")
		hi := rapid.IntRange(lo+1, system.N).Draw(t, "hi")
		whole := system.Block(lo, hi)
		x, want := vector(system.N), make([]float64, linear.Stride(system.N))
		whole.Sweep(want, x, lo, hi)

		rows := newGenerated(system, lo, hi, rapid.IntRange(1, 20).Draw(t, "rows of a segment")*8*linear.Stride(system.N))
		defer rows.Close()
		made := make([]bool, hi-lo)
		var lent []*linear.Block
		span := func() (int, int) {
			from := rapid.IntRange(lo, hi-1).Draw(t, "from")
			to := rapid.IntRange(from+1, hi).Draw(t, "to")
			for i := from; i < to; i++ {
				made[i-lo] = true
			}
			return from, to
		}
		t.Repeat(map[string]func(*rapid.T){
			"sweep": func(t *rapid.T) {
				from, to := span()
				next := make([]float64, linear.Stride(system.N))
				if err := rows.Sweep(next, x, from, to); err != nil || !slices.Equal(next[from:to], want[from:to]) {
					t.Fatalf("rows %d to %d: %v, %v; want %v", from, to, err, next[from:to], want[from:to])
				}
			},
			"lend": func(t *rapid.T) {
				from, to := span()
				block, err := rows.Lend(from, to, linear.Memory(rows.Bytes(from, to)))
				if err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(block.Memory(), system.Block(from, to).Memory()) {
					t.Fatalf("rows %d to %d are not lent as they are", from, to)
				}
				lent = append(lent, block)
			},
			"make": func(t *rapid.T) {
				if err := rows.Make(span()); err != nil {
					t.Fatal(err)
				}
			},
			"take back": func(t *rapid.T) {
				if len(lent) == 0 {
					t.Skip("nothing is lent")
				}
				i := rapid.IntRange(0, len(lent)-1).Draw(t, "block")
				spare, held := rows.Spare(lent[i]), rows.Held()
				if err := rows.TakeBack(lent[i]); err != nil {
					t.Fatal(err)
				}
				if spare != (rows.Held() == held) {
					t.Fatalf("spare %v, and then %d bytes are held, and %d before", spare, rows.Held(), held)
				}
				clear(lent[i].Memory()) // it is another's now
				lent = slices.Delete(lent, i, i+1)
			},
			"": func(t *rapid.T) { expectSound(t, rows, whole, made) },
		})
	})
}

// expectSound looks at where the rows are.
func expectSound(t *rapid.T, rows *generated, whole *linear.Block, made []bool) {
	facts := rows.Facts()
	held := 0
	for i, m := range made {
		row := whole.First + i
		if m && rows.holder(row) == nil {
			t.Fatalf("row %d was made, and is nowhere", row)
		}
		if m && facts.Diagonal[i] != whole.Diagonal[i] || !m && facts.Diagonal[i] != 0 {
			t.Fatalf("the diagonal of row %d (made: %v) is %v, not %v", row, m, facts.Diagonal[i], whole.Diagonal[i])
		}
	}
	last := rows.lo
	for _, s := range rows.own {
		if s.First < last || s.Rows < 1 || s.Rows > rows.cell {
			t.Fatalf("a segment of %d rows from %d on, behind row %d", s.Rows, s.First, last)
		}
		last = s.First + s.Rows
		held += rows.Bytes(s.First, last)
		all := true
		for row := s.First; row < last; row++ {
			all = all && has(rows.lent, row) != nil
		}
		if all {
			t.Fatalf("the rows %d to %d are kept, though all of them are lent", s.First, last-1)
		}
	}
	if rows.Held() != held {
		t.Fatalf("%d bytes are held, of segments of %d", rows.Held(), held)
	}
}

// A received block stays, and what is lent of it is a copy.
func TestReceived(t *testing.T) {
	system := linear.System{N: 30, Seed: 1, Dominance: 1.1}
	block := system.Block(5, 25)
	rows := Received(block)
	x, want, got := vector(30), make([]float64, 32), make([]float64, 32)
	block.Sweep(want, x, 5, 25)
	lent, err := rows.Lend(10, 25, linear.Memory(rows.Bytes(10, 25)))
	if err != nil || lent.First != 10 || lent.Rows != 15 || rows.Held() != len(block.Memory()) {
		t.Fatalf("%+v, %v, %d held", lent, err, rows.Held())
	}
	clear(lent.Memory())
	if err := rows.TakeBack(lent); err != nil {
		t.Error(err)
	}
	if err := rows.Sweep(got, x, 5, 25); err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v; want %v", err, got, want)
	}
	if facts := rows.Facts(); !slices.Equal(facts.Diagonal, block.Diagonal) || facts.Largest != linear.MaxAbs(block.RHS) {
		t.Errorf("%+v", facts)
	}
	if err := rows.Close(); err != nil {
		t.Error(err)
	}
}

// Facts say what is largest among the rows that were made.
func TestLargest(t *testing.T) {
	system := linear.System{N: 40, Seed: 9, Dominance: 1.1}
	rows := Generated(system, 0, 40)
	defer rows.Close()
	if _, err := rows.Lend(20, 40, linear.Memory(rows.Bytes(20, 40))); err != nil {
		t.Fatal(err)
	}
	if got, want := rows.Facts().Largest, linear.MaxAbs(system.Block(20, 40).RHS); got != want {
		t.Errorf("of the lent rows %v, want %v", got, want)
	}
	if err := rows.Sweep(make([]float64, 40), vector(40), 0, 40); err != nil {
		t.Fatal(err)
	}
	if got, want := rows.Facts().Largest, linear.MaxAbs(system.Block(0, 40).RHS); got != want {
		t.Errorf("of all rows %v, want %v", got, want)
	}
}

func vector(n int) []float64 {
	x := make([]float64, linear.Stride(n))
	for i := range n {
		x[i] = 1 / float64(i+3)
	}
	return x
}
