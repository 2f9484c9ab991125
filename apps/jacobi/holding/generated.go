package holding

import (
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/sublet-hpc/sublet/apps/jacobi/linear"
)

// generated are rows that are made when they are needed for the first time.
type generated struct {
	system linear.System
	lo, hi int
	cell   int        // rows: own segments end at multiples of it, counted from lo
	own    []*segment // in the order of rows, none twice
	lent   []*linear.Block
	facts  Facts
}

// segment is some of the rank's own rows, in a mapping that can go without the others.
type segment struct {
	*linear.Block
	mapping []byte
}

// cellBytes is about how large segments are: sweeping many of them costs no more than sweeping one.
const cellBytes = 4 << 20

// Generated returns the rows lo to hi-1 of a system, none of which are made yet.
func Generated(system linear.System, lo, hi int) Rows { return newGenerated(system, lo, hi, cellBytes) }

func newGenerated(system linear.System, lo, hi, cellBytes int) *generated {
	return &generated{
		system: system, lo: lo, hi: hi, cell: max(1, cellBytes/(8*linear.Stride(system.N))),
		facts: Facts{First: lo, Diagonal: make([]float64, hi-lo)},
	}
}

func (g *generated) Make(lo, hi int) error {
	for lo < hi {
		block, err := g.have(lo, hi)
		if err != nil {
			return err
		}
		lo = block.First + block.Rows
	}
	return nil
}

func (g *generated) Sweep(next, x []float64, lo, hi int) error {
	for lo < hi {
		block, err := g.have(lo, hi)
		if err != nil {
			return err
		}
		end := min(hi, block.First+block.Rows)
		block.Sweep(next, x, lo, end)
		lo = end
	}
	return nil
}

// have returns a block that has a row, and makes one if there is none, of rows up to hi at most.
func (g *generated) have(row, hi int) (*linear.Block, error) {
	block := g.holder(row)
	if block != nil {
		return block, nil
	}
	block, err := g.keep(row, g.gap(row, hi))
	if err != nil {
		return nil, err
	}
	g.system.Fill(block, block.First, block.First+block.Rows)
	g.facts.note(block, block.First, block.First+block.Rows)
	return block, nil
}

func (g *generated) Bytes(lo, hi int) int { return g.system.Bytes(lo, hi) }

func (g *generated) Lend(lo, hi int, memory []byte) (*linear.Block, error) {
	block, err := g.system.Lay(lo, hi, memory)
	if err != nil {
		return nil, err
	}
	for row := lo; row < hi; {
		end := 0
		if from := g.holder(row); from != nil {
			end = min(hi, from.First+from.Rows)
			block.CopyRows(from, row, end)
		} else {
			end = g.gap(row, hi)
			g.system.Fill(block, row, end)
			g.facts.note(block, row, end)
		}
		row = end
	}
	g.lent = append(g.lent, block)
	return block, g.dropLent()
}

// dropLent gives back the own rows that lent blocks have as well.
func (g *generated) dropLent() error {
	var errs []error
	g.own = slices.DeleteFunc(g.own, func(s *segment) bool {
		for row := s.First; row < s.First+s.Rows; {
			lent := has(g.lent, row)
			if lent == nil {
				return false
			}
			row = lent.First + lent.Rows
		}
		errs = append(errs, unix.Munmap(s.mapping))
		return true
	})
	return errors.Join(errs...)
}

func (g *generated) Spare(block *linear.Block) bool {
	for row := block.First; row < block.First+block.Rows; {
		other := g.holder(row)
		if other == block {
			others := slices.DeleteFunc(slices.Clone(g.lent), func(b *linear.Block) bool { return b == block })
			other = has(others, row)
		}
		if other == nil {
			return false
		}
		row = other.First + other.Rows
	}
	return true
}

func (g *generated) TakeBack(block *linear.Block) error {
	g.lent = slices.DeleteFunc(g.lent, func(b *linear.Block) bool { return b == block })
	for row, last := block.First, block.First+block.Rows; row < last; {
		if other := g.holder(row); other != nil {
			row = min(last, other.First+other.Rows)
			continue
		}
		made, err := g.keep(row, g.gap(row, last))
		if err != nil {
			return err
		}
		row = made.First + made.Rows
		made.CopyRows(block, made.First, row)
	}
	return nil
}

func (g *generated) Facts() *Facts { return &g.facts }

func (g *generated) Held() int {
	bytes := 0
	for _, s := range g.own {
		bytes += len(s.mapping)
	}
	return bytes
}

func (g *generated) Close() error {
	var errs []error
	for _, s := range g.own {
		errs = append(errs, unix.Munmap(s.mapping))
	}
	g.own, g.lent = nil, nil
	return errors.Join(errs...)
}

// keep makes an own segment of zeroes.
func (g *generated) keep(lo, hi int) (*linear.Block, error) {
	mapping, err := unix.Mmap(-1, 0, g.system.Bytes(lo, hi), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil, fmt.Errorf("memory for %d rows of a system of %d: %w", hi-lo, g.system.N, err)
	}
	block, err := g.system.Lay(lo, hi, mapping)
	if err != nil {
		return nil, err
	}
	g.own = slices.Insert(g.own, g.behind(lo), &segment{block, mapping})
	return block, nil
}

// holder is a block that has a row; nil: there is none.
func (g *generated) holder(row int) *linear.Block {
	if i := g.behind(row); i > 0 && row < g.own[i-1].First+g.own[i-1].Rows {
		return g.own[i-1].Block
	}
	return has(g.lent, row)
}

// gap is where rows end that are to be made together, from one that nobody has, up to hi at most.
func (g *generated) gap(row, hi int) int {
	hi = min(hi, g.lo+((row-g.lo)/g.cell+1)*g.cell)
	if i := g.behind(row); i < len(g.own) {
		hi = min(hi, g.own[i].First)
	}
	for _, lent := range g.lent {
		if lent.First > row {
			hi = min(hi, lent.First)
		}
	}
	return hi
}

// behind is the index of the first own segment that begins after a row.
func (g *generated) behind(row int) int {
	i, _ := slices.BinarySearchFunc(g.own, row, func(s *segment, row int) int {
		if s.First > row {
			return 1
		}
		return -1
	})
	return i
}

// has finds the newest of some blocks that has a row.
func has(blocks []*linear.Block, row int) *linear.Block {
	for _, b := range slices.Backward(blocks) {
		if b.First <= row && row < b.First+b.Rows {
			return b
		}
	}
	return nil
}
