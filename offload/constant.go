package offload

import (
	"fmt"

	"github.com/sublet-hpc/sublet/internal/fabric"
)

// Constant is data that executors keep: it is sent to an executor once, when an invocation on it
// names the constant for the first time, and to executors that replace it. Functions see it
// read-only.
type Constant struct {
	session *Session
	block   *block
}

// Constant makes a constant of a copy of data; see Bytes for slices of numbers.
func (s *Session) Constant(data []byte) (*Constant, error) {
	b, err := s.NewConstant(len(data))
	if err != nil {
		return nil, err
	}
	copy(b.Bytes(), data)
	return b.Seal(), nil
}

// ConstantBuilder is a constant before it is sealed: memory to be filled in place.
type ConstantBuilder struct{ constant *Constant }

// NewConstant returns a constant of size bytes (at least 1) to be filled and sealed, for data that
// should not exist twice.
func (s *Session) NewConstant(size int) (*ConstantBuilder, error) {
	if size < 1 {
		return nil, fmt.Errorf("offload: a constant of %d bytes", size)
	}
	owned, err := s.regions.allocate(fabric.Constants, size)
	if err != nil {
		return nil, err
	}
	return &ConstantBuilder{&Constant{session: s, block: owned}}, nil
}

// Bytes is the memory to fill. It must not be written after Seal.
func (b *ConstantBuilder) Bytes() []byte { return b.constant.block.bytes() }

// Seal ends the filling: from now on no executor can change it.
func (b *ConstantBuilder) Seal() *Constant {
	b.constant.block.region.memory.Seal()
	return b.constant
}

// Size in bytes.
func (c *Constant) Size() int { return c.block.size }

// Free gives the memory back, here and at the executors. It fails with ErrBufferBusy while an
// invocation that names the constant has not ended.
func (c *Constant) Free() error { return c.session.regions.release(c.block) }
