package main

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/sublet-hpc/sublet/apps/jacobi/holding"
	"github.com/sublet-hpc/sublet/apps/jacobi/linear"
	"github.com/sublet-hpc/sublet/offload"
)

// newTestPieces makes pieces of a system whose executor is real, with so much memory.
func newTestPieces(t *testing.T, system linear.System, rows holding.Rows, memory int64) (*pieces, *offload.Executor) {
	t.Helper()
	t.Setenv("SUBLET_BIN", bin)
	t.Setenv("SUBLET_DIR", t.TempDir())
	session, err := offload.Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := session.Close(); err != nil {
			t.Error(err)
		}
		expectNothingLeft(t)
	})
	lease, err := session.Lease(t.Context(), offload.Want{Executors: 1, Library: path("libjacobi.so"), Memory: memory, Oversubscribe: true})
	if err != nil {
		t.Fatal(err)
	}
	return newPieces(session, rows, 0, system.N, 2*8*linear.Stride(system.N)), lease.Executors()[0]
}

// However often boundaries move, what is kept of rows that executors no longer have is bounded, and each piece is the
// rows that it should be.
func TestPiecesDoNotPileUp(t *testing.T) {
	system := linear.System{N: 400, Seed: 1, Dominance: 1.1}
	for name, rows := range map[string]holding.Rows{"generated": holding.Generated(system, 0, 400), "received": holding.Received(system.Block(0, 400))} {
		t.Run(name, func(t *testing.T) {
			p, e := newTestPieces(t, system, rows, 0)
			x, next, want := make([]float64, 400), make([]float64, 400), make([]float64, 400)
			for i := range x {
				x[i] = float64(i)
			}
			system.Block(0, 400).Sweep(want, x, 0, 400)
			random := rand.New(rand.NewPCG(1, 2))
			for index := range 200 {
				lo := random.IntN(399)
				span := offload.Span{Lo: lo, Hi: lo + 1 + random.IntN(400-lo)}
				part := offload.Part{Lo: span.Lo, Hi: span.Hi, Executor: e, Index: index, Piece: span}
				c, err := p.constant(part)
				if err != nil {
					t.Fatal(err)
				}
				if again, err := p.constant(part); again != c || err != nil {
					t.Fatalf("another constant for the same piece, %v", err)
				}
				if block := p.find(part).block; !bytes.Equal(block.Memory(), system.Block(span.Lo, span.Hi).Memory()) {
					t.Fatalf("piece %+v is not its rows", span)
				}
				if err := rows.Sweep(next, x, 0, 400); err != nil {
					t.Fatal(err)
				}
				for i := range next {
					if next[i] != want[i] {
						t.Fatalf("row %d is %v, not %v", i, next[i], want[i])
					}
				}
				if err := p.stepped(); err != nil {
					t.Fatal(err)
				}
				if used := p.rowsNow()[e]; used != span.Len() {
					t.Errorf("the executor has %d rows, not %d", used, span.Len())
				}
				if unused := p.bytes() - c.Size(); unused > p.limit {
					t.Fatalf("after %d pieces %d bytes of rows are kept besides those in use; %d are allowed", index+1, unused, p.limit)
				}
			}
			if p.moves != 199 || !(p.seconds > 0) {
				t.Errorf("%d moves in %v s", p.moves, p.seconds)
			}
		})
	}
}

// What an executor has no memory for is taken from it before it gets more.
func TestPiecesMakeRoom(t *testing.T) {
	const memory = 16 << 20
	system := linear.System{N: 1024, Seed: 1, Dominance: 1.1}
	p, e := newTestPieces(t, system, holding.Generated(system, 0, 1024), memory)
	for index := range 8 {
		span := offload.Span{Lo: 0, Hi: 500 + index} // 4 MiB and more
		if _, err := p.constant(offload.Part{Lo: span.Lo, Hi: span.Hi, Executor: e, Index: index, Piece: span}); err != nil {
			t.Fatal(err)
		}
		if err := p.stepped(); err != nil {
			t.Fatal(err)
		}
		sum := p.vectors
		for _, known := range p.all {
			sum += known.constant.Size()
		}
		if sum > memory {
			t.Fatalf("the executor has %d bytes", sum)
		}
	}
}
