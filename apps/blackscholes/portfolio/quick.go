package portfolio

import (
	"encoding/binary"
	"math/bits"
)

// option is one line.
type option[T Float] struct {
	numbers   [referenceField]T // those of other types than T's are left out
	put       int32
	reference float32
}

// store makes it option i of blocks.
func (o *option[T]) store(blocks []Block[T], i int) {
	b, lane := &blocks[uint(i)/Lanes], uint(i)%Lanes
	b.Spot[lane] = o.numbers[spotField]
	b.Strike[lane] = o.numbers[strikeField]
	b.Rate[lane] = o.numbers[rateField]
	b.Volatility[lane] = o.numbers[volatilityField]
	b.Time[lane] = o.numbers[timeField]
	b.Put[lane] = o.put
}

// inRange tells whether the formula has a price for it.
func (o *option[T]) inRange() bool {
	return o.numbers[spotField] > 0 && o.numbers[strikeField] > 0 && o.numbers[volatilityField] > 0 && o.numbers[timeField] > 0
}

// dividends tells whether it pays any.
func (o *option[T]) dividends() bool {
	return o.numbers[yieldField] != 0 || o.numbers[dividendsField] != 0
}

// kinds are 0 for a call and 1 for a put, by their letter; noKind for others.
var kinds = func() (kinds [256]uint8) {
	for i := range kinds {
		kinds[i] = noKind
	}
	kinds['C'], kinds['P'] = 0, 1
	return kinds
}()

const noKind = 2

// A byte in each of eight.
const (
	ones  = 0x0101010101010101
	highs = 0x80 * ones
)

// lookahead is how many bytes behind a line quickLine may look at.
const lookahead = 32

// quickLine reads the line that begins at text[at], eight bytes at a time, and returns where the
// next one begins. It knows the form that nearly all lines have: nine fields with one space between
// them, and a line feed behind the last. It returns 0 for what may be another form, or wrong:
// carefulLine has to see that. text ends lookahead bytes behind a line feed.
func quickLine[T Float](o *option[T], text []byte, at int) int {
	powers := [8]T{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7}
	for field := range o.numbers {
		word := binary.LittleEndian.Uint64(text[at:])
		if field == typeField {
			put := kinds[byte(word)]
			if put == noKind || byte(word>>8) != ' ' {
				return 0
			}
			o.put = int32(put)
			at += 2
			continue
		}
		// The lowest byte that is not above a space ends the number; the lowest that is a point
		// divides it. What is in the bytes above those is not to be relied on.
		end := (word - '!'*ones) &^ word & highs
		points := word ^ '.'*ones
		point := (points - ones) &^ points & highs
		length := bits.TrailingZeros64(end) >> 3  // of the number; 8 if it is longer
		whole := bits.TrailingZeros64(point) &^ 7 // bits in front of the point
		digits := length - 1                      // without the point
		if length > 7 || whole>>3 > digits || digits < 1 {
			x, next := awkward[T](text, at)
			if next == 0 {
				return 0
			}
			o.numbers[field] = x
			at = next
			continue
		}
		if byte(word>>(8*uint(length)&63)) != ' ' {
			return 0
		}
		// The point is taken out, and the digits moved up so that they end where the word does.
		front := uint64(1)<<(uint(whole)&63) - 1
		up := uint(64-8*digits) & 63
		word = (word&front | word>>8&^front) << up
		word -= '0' * ones << up
		if (word|(word+0x76*ones))&highs != 0 {
			return 0
		}
		o.numbers[field] = T(int32(joined(word))) / powers[(digits-whole>>3)&7]
		at += length + 1
	}
	return at
}

// joined is the number of eight digits, each in a byte, the first in the lowest.
func joined(digits uint64) uint64 {
	digits = digits*10 + digits>>8
	return (digits&0x000000ff000000ff*(100+1000000<<32) + digits>>16&0x000000ff000000ff*(1+10000<<32)) >> 32
}

// areDigits tells whether all bytes of a word are.
func areDigits(word uint64) bool {
	word -= '0' * ones // the lowest that is below borrows from those above it, and is high itself
	return (word|(word+0x76*ones))&highs == 0
}

// quickReference reads the reference price with which a line ends, as PARSEC writes it: up to seven
// digits, a point, and 18 digits. It returns where the next line begins, or 0.
func quickReference(o *float32, text []byte, at int) int {
	word := binary.LittleEndian.Uint64(text[at:])
	points := word ^ '.'*ones
	whole := bits.TrailingZeros64((points-ones)&^points&highs) >> 3
	if whole == 0 || whole > 7 {
		return 0
	}
	up := uint(64-8*whole) & 63
	front := word<<up - '0'*ones<<up
	at += whole + 1
	first := binary.LittleEndian.Uint64(text[at:])
	second := binary.LittleEndian.Uint64(text[at+8:])
	last := text[at+16 : at+19]
	tens, units := last[0]-'0', last[1]-'0'
	if (front|(front+0x76*ones))&highs != 0 || !areDigits(first) || !areDigits(second) || tens > 9 || units > 9 || last[2] != '\n' {
		return 0
	}
	decimals := (joined(first-'0'*ones)*1e8+joined(second-'0'*ones))*100 + uint64(tens)*10 + uint64(units)
	x, sure := together(joined(front), decimals)
	if !sure {
		return 0
	}
	*o = x
	return at + 19
}

// awkward reads a number that ends at a space, whatever its form, and returns where the next field
// begins; 0 if there is something wrong.
func awkward[T Float](text []byte, at int) (x T, next int) {
	end := at
	for text[end] > ' ' {
		end++
	}
	if text[end] != ' ' || end-at > 1000 {
		return 0, 0
	}
	x, err := number[T](text[at:end])
	if err != nil {
		return 0, 0
	}
	return x, end + 1
}
