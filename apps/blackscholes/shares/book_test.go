package shares

import (
	"bytes"
	"context"
	"testing"
	"unsafe"

	"github.com/sublet-hpc/sublet/apps/blackscholes/portfolio"
	"github.com/sublet-hpc/sublet/apps/internal/pricing"
	"github.com/sublet-hpc/sublet/offload"
)

// book is options, and their prices as the caller alone finds them.
type book struct {
	options int
	in      *offload.Buffer[portfolio.Block[float32]]
	out     *offload.Buffer[float32]
	want    []float32
	kernel  pricing.Func[float32]
	sent    func(part offload.Part) // what happens after a part was sent; nil: nothing
}

// newBook makes options in the memory of a session.
func newBook(t *testing.T, s *offload.Session, options int) *book {
	t.Helper()
	kernel, err := pricing.Of[float32](pricing.Vector)
	check(t, err)
	blocks := portfolio.Blocks(options)
	b := &book{
		options: options, kernel: kernel, want: make([]float32, blocks*portfolio.Lanes),
		in: offload.Alloc[portfolio.Block[float32]](s, blocks), out: offload.Alloc[float32](s, blocks*portfolio.Lanes),
	}
	portfolio.Generate(b.in.Slice(), nil, 0, options, 1)
	kernel(b.in.Slice(), b.want)
	return b
}

// items are those of a step.
func (b *book) items() int { return b.in.Len() }

// work prices all options once.
func (b *book) work() offload.Work {
	return offload.Work{
		Remote: func(ctx context.Context, p offload.Part) offload.Future {
			future := p.Executor.Invoke(ctx, pricing.FunctionName[float32](pricing.Vector), b.in.Sub(p.Lo, p.Hi), b.out.Sub(p.Lo*portfolio.Lanes, p.Hi*portfolio.Lanes))
			if b.sent != nil {
				b.sent(p)
			}
			return future
		},
		Local: func(lo, hi int) error {
			b.kernel(b.in.Slice()[lo:hi], b.out.Slice()[lo*portfolio.Lanes:hi*portfolio.Lanes])
			return nil
		},
	}
}

// forget makes sure that prices that are found afterwards are those of a later step.
func (b *book) forget() { clear(b.out.Slice()) }

// compare wants the prices to be those of the caller alone, bit by bit.
func (b *book) compare(t *testing.T, who string) {
	t.Helper()
	if !bytes.Equal(bytesOf(b.out.Slice()), bytesOf(b.want)) {
		for i, price := range b.out.Slice() {
			if price != b.want[i] {
				t.Fatalf("%s: the price of option %d is %v; the caller alone finds %v", who, i, price, b.want[i])
			}
		}
		t.Fatalf("%s: prices differ from those of the caller alone in the sign of a zero", who)
	}
}

func bytesOf(prices []float32) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(prices))), 4*len(prices))
}
