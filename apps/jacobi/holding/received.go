package holding

import "github.com/sublet-hpc/sublet/apps/jacobi/linear"

// received is a block that the rank has received, and keeps.
type received struct {
	block *linear.Block
	facts Facts
}

// Received returns the rows of a block.
func Received(block *linear.Block) Rows {
	r := &received{block, Facts{First: block.First, Diagonal: make([]float64, block.Rows)}}
	r.facts.note(block, block.First, block.First+block.Rows)
	return r
}

func (r *received) Make(int, int) error { return nil }

func (r *received) Sweep(next, x []float64, lo, hi int) error {
	r.block.Sweep(next, x, lo, hi)
	return nil
}

func (r *received) Bytes(lo, hi int) int { return r.block.Bytes(lo, hi) }

func (r *received) Lend(lo, hi int, memory []byte) (*linear.Block, error) {
	return r.block.Copy(lo, hi, memory)
}

func (r *received) Spare(*linear.Block) bool { return true }

func (r *received) TakeBack(*linear.Block) error { return nil }

func (r *received) Facts() *Facts { return &r.facts }

func (r *received) Held() int { return len(r.block.Memory()) }

func (r *received) Close() error { return nil }
