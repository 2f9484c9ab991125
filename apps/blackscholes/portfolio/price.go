package portfolio

import (
	"encoding/binary"
	"math"
	"math/bits"
	"strconv"
	"unsafe"
)

// decimals are those of a price in PARSEC's output: it is printf's %.18f.
const decimals = 18

// unit is what a price is a multiple of in the output: 1/unit.
const unit = 1e18

// maxPrice is the most bytes that a price of common size takes, which is less than 2⁶⁴.
const maxPrice = len("-18446744073709551616.000000000000000000\n")

// AppendCount appends the first line of PARSEC's output, which says how many prices follow.
func AppendCount(text []byte, count int64) []byte {
	return append(strconv.AppendInt(text, count, 10), '\n')
}

// AppendPrices appends each price on a line of its own, byte by byte as C's printf("%.18f\n") does:
// the decimal number that is nearest to the price, of two equally near the even one.
func AppendPrices[T Float](text []byte, prices []T) []byte {
	for len(prices) > 0 {
		// Room for many is made at once, and looked after once.
		piece := prices[:min(len(prices), 256)]
		prices = prices[len(piece):]
		if cap(text)-len(text) < len(piece)*maxPrice {
			text = append(text, make([]byte, len(piece)*maxPrice)...)[:len(text)]
		}
		for _, price := range piece {
			text = appendPrice(text, price)
		}
	}
	return text
}

func appendPrice[T Float](text []byte, price T) []byte {
	whole, fraction, negative, ok := fixed(price)
	if !ok {
		return appendUncommon(text, price)
	}
	if negative {
		text = append(text, '-')
	}
	if whole < 10 {
		text = append(text, byte('0'+whole))
	} else {
		text = strconv.AppendUint(text, whole, 10)
	}
	first, rest := fraction/1e10, fraction%1e10
	n := len(text)
	if cap(text)-n < 1+decimals+1 {
		text = append(text, make([]byte, 1+decimals+1)...)
	}
	text = text[:n+1+decimals+1]
	line := text[n:]
	line[0] = '.'
	binary.LittleEndian.PutUint64(line[1:], spread(first))
	binary.LittleEndian.PutUint64(line[9:], spread(rest/100))
	last := rest % 100
	line[17], line[18] = byte('0'+last/10), byte('0'+last%10)
	line[19] = '\n'
	return text
}

// fixed is ± (whole + fraction × 10⁻¹⁸), rounded as printf does; it is not ok for what is 2⁶⁴ or
// more, or no number.
func fixed[T Float](price T) (whole, fraction uint64, negative, ok bool) {
	// price = mantissa × 2⁻ᵏ
	var mantissa uint64
	var k int
	if unsafe.Sizeof(price) == 4 {
		b := math.Float32bits(float32(price))
		negative = b>>31 != 0
		mantissa, k = uint64(b&(1<<23-1)), int(b>>23&0xff)
		if k == 0xff {
			return 0, 0, negative, false
		}
		if k == 0 {
			k = 1
		} else {
			mantissa |= 1 << 23
		}
		k = 127 + 23 - k
	} else {
		b := math.Float64bits(float64(price))
		negative = b>>63 != 0
		mantissa, k = b&(1<<52-1), int(b>>52&0x7ff)
		if k == 0x7ff {
			return 0, 0, negative, false
		}
		if k == 0 {
			k = 1
		} else {
			mantissa |= 1 << 52
		}
		k = 1023 + 52 - k
	}
	switch {
	case k <= 0:
		if bits.Len64(mantissa)-k > 64 {
			return 0, 0, negative, false
		}
		return mantissa << -k, 0, negative, true
	case k < 64:
		whole = mantissa >> k
		high, low := bits.Mul64(mantissa&(1<<k-1), unit)
		fraction = high<<(64-k) | low>>k
		rest, half := low&(1<<k-1), uint64(1)<<(k-1)
		if rest > half || rest == half && fraction&1 != 0 {
			fraction++
		}
		if fraction == unit {
			whole, fraction = whole+1, 0
		}
		return whole, fraction, negative, true
	case k < 128:
		high, low := bits.Mul64(mantissa, unit)
		fraction = high >> (k - 64)
		rest, half := high&(1<<(k-64)-1), uint64(1)<<(k-64)>>1
		if k == 64 {
			rest, half, low = low, 1<<63, 0
		}
		if rest > half || rest == half && (low != 0 || fraction&1 != 0) {
			fraction++
		}
		return 0, fraction, negative, true
	}
	return 0, 0, negative, true // mantissa × 10¹⁸ is less than 2¹¹³, half of a unit at least 2¹²⁷
}

// spread is the last eight digits of a number as text, the first in the lowest byte: halves, then
// quarters, then single digits are put into places of their own.
func spread(number uint64) uint64 {
	x := number/10000 | number%10000<<32
	hundreds := x * 10486 >> 20 & 0x7f_0000_007f // of each half; 10486/2²⁰ is 1/100, near enough
	x = hundreds | (x-100*hundreds)<<16
	tens := x * 103 >> 10 & 0x000f_000f_000f_000f
	return (tens | (x-10*tens)<<8) + '0'*ones
}

// appendUncommon appends a price that is huge or not finite.
func appendUncommon[T Float](text []byte, price T) []byte {
	x := float64(price)
	switch {
	case math.IsNaN(x) && math.Signbit(x):
		text = append(text, "-nan"...)
	case math.IsNaN(x):
		text = append(text, "nan"...)
	case math.IsInf(x, 1):
		text = append(text, "inf"...)
	case math.IsInf(x, -1):
		text = append(text, "-inf"...)
	default:
		text = strconv.AppendFloat(text, x, 'f', decimals, 64)
	}
	return append(text, '\n')
}
