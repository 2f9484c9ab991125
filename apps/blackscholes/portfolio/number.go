package portfolio

import (
	"errors"
	"math"
	"strconv"
	"unsafe"
)

// What can be wrong with a number.
var (
	errNumber = errors.New("a decimal number is expected")
	errFinite = errors.New("a finite number is expected")
	errRange  = errors.New("its absolute value is too large")
)

// tens are the powers of ten that a float64 holds exactly.
var tens = [...]float64{
	1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
	1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
}

// number is the T that is nearest to the decimal number in word, which is what strtof and strtod
// give: a sign, digits with or without a point, and an exponent, of which only digits must be there.
// It does not read what those read beyond that: inf, nan and hexadecimal numbers.
func number[T Float](word []byte) (T, error) {
	d, ok := scan(word)
	if !ok {
		if notFinite(word) {
			return 0, errFinite
		}
		return 0, errNumber
	}
	x, sure := scale[T](d.digits, d.exponent)
	if !sure || d.cut {
		exact, err := strconv.ParseFloat(string(word), 8*int(unsafe.Sizeof(x)))
		if err != nil { // of what has the form of a number, only that it is too large
			return 0, errRange
		}
		return T(exact), nil
	}
	if d.negative {
		x = -x
	}
	return x, nil
}

// decimal is ± digits × 10^exponent.
type decimal struct {
	digits   uint64
	exponent int
	negative bool
	cut      bool // there are more digits, or an exponent of more digits, than were looked at
}

// scan takes a decimal number apart, and tells whether word is one.
func scan(word []byte) (d decimal, ok bool) {
	i := 0
	if i < len(word) && (word[i] == '-' || word[i] == '+') {
		d.negative = word[i] == '-'
		i++
	}
	found, point := 0, false
	for ; i < len(word); i++ {
		c := word[i]
		if c == '.' && !point {
			point = true
			continue
		}
		if c < '0' || c > '9' {
			break
		}
		found++
		if d.digits >= math.MaxUint64/10 { // the next digit may be one too many
			d.cut = true
			continue
		}
		d.digits = 10*d.digits + uint64(c-'0')
		if point {
			d.exponent--
		}
	}
	if found == 0 {
		return d, false
	}
	if i < len(word) && (word[i] == 'e' || word[i] == 'E') {
		i++
		negative := false
		if i < len(word) && (word[i] == '-' || word[i] == '+') {
			negative = word[i] == '-'
			i++
		}
		begin, exponent := i, 0
		for ; i < len(word) && word[i] >= '0' && word[i] <= '9'; i++ {
			if exponent > 10000 {
				d.cut = true
				continue
			}
			exponent = 10*exponent + int(word[i]-'0')
		}
		if i == begin {
			return d, false
		}
		if negative {
			exponent = -exponent
		}
		d.exponent += exponent
	}
	return d, i == len(word)
}

// notFinite tells whether strtod would read an infinity, or what is not a number.
func notFinite(word []byte) bool {
	x, err := strconv.ParseFloat(string(word), 64)
	return err == nil && (math.IsNaN(x) || math.IsInf(x, 0))
}

// scale is digits × 10^exponent, rounded once, and whether it is sure of that.
func scale[T Float](digits uint64, exponent int) (x T, sure bool) {
	if digits == 0 {
		return 0, true
	}
	if exponent < -22 || exponent > 22 {
		return 0, false
	}
	power := tens[max(exponent, -exponent)]
	f := float64(digits)
	if exponent < 0 {
		f /= power
	} else {
		f *= power
	}
	if unsafe.Sizeof(x) == 8 { // one rounding, if the digits had none
		return T(f), digits <= 1<<53
	}
	narrow, sure := narrowed(f)
	return T(narrow), sure
}

// narrowed is the float32 that is nearest to a number of which f is a float64 that is wrong by less
// than four units in its last place, and whether it is sure: it is not where a number near f lies
// half way between two float32, nor where those are not evenly spaced.
func narrowed(f float64) (x float32, sure bool) {
	const (
		dropped = 29 // bits of the fraction that a float32 has not
		half    = 1 << (dropped - 1)
		doubt   = 4
	)
	low := math.Float64bits(f) & (1<<dropped - 1)
	sure = low-(half-doubt) > 2*doubt && f >= 0x1p-126 && f < math.MaxFloat32
	return float32(f), sure
}

// together is the float32 that is nearest to whole + fraction × 10⁻¹⁸, and whether it is sure; whole is
// less than 2⁵³, and fraction less than 10¹⁸.
func together(whole, fraction uint64) (x float32, sure bool) {
	if fraction == 0 {
		return float32(int64(whole)), true
	}
	// Three roundings, each by half a unit in the last place of the result or less: of fraction, if it is
	// above 2⁵³, of its quotient, and of the sum.
	return narrowed(float64(int64(whole)) + float64(int64(fraction))/1e18)
}
