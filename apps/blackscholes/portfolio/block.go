package portfolio

// Lanes is the number of options in a block.
const Lanes = 16

// Float is what numbers of an option are kept in.
type Float interface{ float32 | float64 }

// Block is Lanes options, field by field, so that a kernel prices them in vectors. It has no
// padding: 24 bytes an option in single precision, 44 in double.
type Block[T Float] struct {
	Spot       [Lanes]T     // what the underlying costs now
	Strike     [Lanes]T     // what it can be bought or sold for
	Rate       [Lanes]T     // risk-free interest a year
	Volatility [Lanes]T     // of the underlying, a year
	Time       [Lanes]T     // until the option expires, in years
	Put        [Lanes]int32 // 1 for a put, 0 for a call
}

// Blocks is how many blocks hold n options.
func Blocks(n int) int { return n/Lanes + min(n%Lanes, 1) }

// Pad fills a block from option used on with calls whose price is a plain number.
func (b *Block[T]) Pad(used int) {
	for i := used; i < Lanes; i++ {
		b.Spot[i], b.Strike[i], b.Rate[i], b.Volatility[i], b.Time[i], b.Put[i] = 1, 1, 0, 1, 1, 0
	}
}
