package offload

import (
	"errors"
	"fmt"
)

// Pieces says which part of a payload is which executor's in [Lease.Each]: [Scatter], [Gather] or [Broadcast].
type Pieces interface {
	// cut checks that there is a piece for each of so many executors.
	cut(executors int) (func(executor int) operand, error)
}

// operand is one executor's part.
type operand struct {
	payload Payload
	// none: it is one of several pieces, and empty.
	none bool
}

func (p operand) isEmpty() bool { return p.none || p.payload == nil }

// Scatter gives each executor a piece of its own of a buffer, as input: piece i to executor i, one behind the other
// from the buffer's beginning, of so many values each, and nothing is copied. Without counts the pieces are equal,
// or, where that can not be, the first ones are larger by 1.
func Scatter[T any](in *Buffer[T], counts ...int) Pieces {
	return pieces[T]{"Scatter", in, counts}
}

// Gather has each executor write its output to its own piece of a buffer. The pieces are as in [Scatter].
func Gather[T any](out *Buffer[T], counts ...int) Pieces {
	return pieces[T]{"Gather", out, counts}
}

// Broadcast gives all executors the same input. Those on the rank's host read it where it is; others are sent it each time: what is
// used again and again is better a [Constant], which [Lease.Each] takes as well and which is sent once.
func Broadcast(in Payload) Pieces { return whole{in} }

type pieces[T any] struct {
	word   string // for errors
	buffer *Buffer[T]
	counts []int
}

func (p pieces[T]) cut(executors int) (func(int) operand, error) {
	if p.buffer == nil {
		return nil, fmt.Errorf("offload: %s of no buffer", p.word)
	}
	counts, n := p.counts, p.buffer.Len()
	if len(counts) == 0 {
		counts = equal(n, executors)
	}
	if len(counts) != executors {
		return nil, fmt.Errorf("offload: %s with %d counts for %d executors; there is one for each, or none at all", p.word, len(counts), executors)
	}
	starts := make([]int, executors+1)
	for i, count := range counts {
		if count < 0 || count > n-starts[i] {
			return nil, fmt.Errorf("offload: %s: the count of executor %d is %d, and of the buffer's %d values those before it have %d", p.word, i, count, n, starts[i])
		}
		starts[i+1] = starts[i] + count
	}
	return func(i int) operand {
		return operand{p.buffer.Sub(starts[i], starts[i+1]), starts[i] == starts[i+1]}
	}, nil
}

// equal divides n into as many parts, of which the first are larger by 1 if need be.
func equal(n, parts int) []int {
	counts := make([]int, parts)
	for i := range counts {
		counts[i] = n / parts
		if i < n%parts {
			counts[i]++
		}
	}
	return counts
}

type whole struct{ payload Payload }

func (w whole) cut(int) (func(int) operand, error) {
	if w.payload == nil {
		return nil, errors.New("offload: Broadcast of nothing")
	}
	return func(int) operand { return operand{payload: w.payload} }, nil
}

// cut is that of pieces which may be nil: nobody has any.
func cut(p Pieces, executors int) (func(int) operand, error) {
	if p == nil {
		return func(int) operand { return operand{} }, nil
	}
	return p.cut(executors)
}
