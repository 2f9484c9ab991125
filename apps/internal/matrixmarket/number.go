package matrixmarket

import (
	"errors"
	"strconv"
)

// natural reads a whole number from 0 to most.
func natural(word []byte, most int) (n int, ok bool) {
	if len(word) == 0 || len(word) > 18 { // 18 digits never overflow
		return 0, false
	}
	for _, c := range word {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + int(c-'0')
	}
	return n, n <= most
}

// value reads a value of the given field.
func (s *scanner) value(word []byte, field field) (float64, error) {
	if field == integers && !isInteger(word) {
		return 0, s.errorf("value %s: an integer is expected", quote(word))
	}
	// strconv reads more than decimal numbers: nan, inf, 0x1p-2, 1_000.
	if !isDecimal(word) {
		return 0, s.errorf("value %s: a finite decimal number is expected", quote(word))
	}
	// The copy of a short word is on the stack.
	v, err := strconv.ParseFloat(string(word), 64)
	switch {
	case errors.Is(err, strconv.ErrRange):
		return 0, s.errorf("value %s is beyond the range of a float64", quote(word))
	case err != nil:
		return 0, s.errorf("value %s: a finite decimal number is expected", quote(word))
	}
	return v, nil
}

// isInteger tells whether word is digits with perhaps a sign.
func isInteger(word []byte) bool {
	if len(word) > 0 && (word[0] == '-' || word[0] == '+') {
		word = word[1:]
	}
	for _, c := range word {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(word) > 0
}

// isDecimal tells whether word has only what decimal numbers are made of.
func isDecimal(word []byte) bool {
	for _, c := range word {
		switch {
		case c >= '0' && c <= '9', c == '.', c == '-', c == '+', c == 'e', c == 'E':
		default:
			return false
		}
	}
	return true
}
