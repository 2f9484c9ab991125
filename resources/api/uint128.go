package api

import (
	"fmt"
	"math"
	"math/big"
	"math/bits"
	"strings"
)

// Uint128 counts what 64 bits are too few for: 1 TiB for a day is 9.5e25 byte-nanoseconds, and a thousand cores use
// 2^64 nanoseconds in seven months. In JSON it is a string of decimal digits.
type Uint128 struct{ Hi, Lo uint64 }

// Uint128Of is a number of 64 bits.
func Uint128Of(n uint64) Uint128 { return Uint128{Lo: n} }

// Product of two numbers; it always fits.
func Product(a, b uint64) Uint128 {
	hi, lo := bits.Mul64(a, b)
	return Uint128{hi, lo}
}

// Plus is the sum, or the largest number if that is larger.
func (u Uint128) Plus(v Uint128) Uint128 {
	lo, carry := bits.Add64(u.Lo, v.Lo, 0)
	hi, over := bits.Add64(u.Hi, v.Hi, carry)
	if over != 0 {
		return Uint128{math.MaxUint64, math.MaxUint64}
	}
	return Uint128{hi, lo}
}

// Minus is the difference, or 0 if v is larger.
func (u Uint128) Minus(v Uint128) Uint128 {
	lo, borrow := bits.Sub64(u.Lo, v.Lo, 0)
	hi, under := bits.Sub64(u.Hi, v.Hi, borrow)
	if under != 0 {
		return Uint128{}
	}
	return Uint128{hi, lo}
}

// Less tells whether u is less than v.
func (u Uint128) Less(v Uint128) bool { return u.Hi < v.Hi || u.Hi == v.Hi && u.Lo < v.Lo }

// IsZero tells whether it is 0.
func (u Uint128) IsZero() bool { return u == Uint128{} }

// Big is the same number.
func (u Uint128) Big() *big.Int {
	n := new(big.Int).SetUint64(u.Hi)
	return n.Lsh(n, 64).Or(n, new(big.Int).SetUint64(u.Lo))
}

// Float is the nearest floating-point number, for metrics.
func (u Uint128) Float() float64 { return math.Ldexp(float64(u.Hi), 64) + float64(u.Lo) }

func (u Uint128) String() string {
	if u.Hi == 0 {
		return fmt.Sprint(u.Lo)
	}
	return u.Big().String()
}

// Decimal is the number times 10^-places, with all digits that are not 0.
func (u Uint128) Decimal(places int) string { return Decimal(u.Big(), places) }

// Decimal is n times 10^-places, with all digits that are not 0.
func Decimal(n *big.Int, places int) string {
	digits := n.String()
	if missing := places + 1 - len(digits); missing > 0 {
		digits = strings.Repeat("0", missing) + digits
	}
	whole, fraction := digits[:len(digits)-places], strings.TrimRight(digits[len(digits)-places:], "0")
	if fraction == "" {
		return whole
	}
	return whole + "." + fraction
}

// MarshalText implements encoding.TextMarshaler.
func (u Uint128) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (u *Uint128) UnmarshalText(text []byte) error {
	var n Uint128
	const mostDigits = 39
	if len(text) == 0 || len(text) > mostDigits {
		return fmt.Errorf("%.50q is not a number of 128 bits in decimal digits", text)
	}
	for _, c := range text {
		if c < '0' || c > '9' {
			return fmt.Errorf("%.50q is not a number of 128 bits in decimal digits", text)
		}
		// 10 n + c, of which nothing may be lost.
		over, high := bits.Mul64(n.Hi, 10)
		carried, low := bits.Mul64(n.Lo, 10)
		low, carry := bits.Add64(low, uint64(c-'0'), 0)
		high, more := bits.Add64(high, carried, carry)
		if over != 0 || more != 0 {
			return fmt.Errorf("%s has more than 128 bits", text)
		}
		n = Uint128{high, low}
	}
	*u = n
	return nil
}
