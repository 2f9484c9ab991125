package portfolio

import (
	"fmt"
	"strconv"
	"unsafe"
)

// The fields of a line, in order.
const (
	spotField = iota
	strikeField
	rateField
	yieldField
	volatilityField
	timeField
	typeField
	dividendsField
	referenceField
	fields
)

var fieldNames = [fields]string{
	"spot price", "strike price", "rate", "dividend yield", "volatility", "time", "type", "dividends", "reference price",
}

// carefulLine reads a line, without its line feed, whatever it is: blank, or an option, or an error
// that says what is wrong with it.
func carefulLine[T Float](o *option[T], line []byte) (blank bool, err error) {
	var words [fields][]byte
	found := 0
	for rest := line; ; {
		var word []byte
		word, rest = nextWord(rest)
		if len(word) == 0 {
			break
		}
		if found < fields {
			words[found] = word
		}
		found++
	}
	if found == 0 {
		return true, nil
	}
	if found != fields {
		return false, fmt.Errorf("found %s, of %s: an option is %d fields: S K r divq v T type divs reference",
			quote(line), plural(found, "field"), fields)
	}
	for field, word := range words {
		var err error
		switch field {
		case typeField:
			if len(word) != 1 || kinds[word[0]] == noKind {
				return false, fmt.Errorf("%s %s: C, a call, or P, a put, is expected", fieldNames[field], quote(word))
			}
			o.put = int32(kinds[word[0]])
		case referenceField:
			o.reference, err = number[float32](word)
		default:
			o.numbers[field], err = number[T](word)
		}
		if err != nil {
			return false, fmt.Errorf("%s %s: %w", fieldNames[field], quote(word), err)
		}
		if why := outOfRange(o, field); why != "" {
			return false, fmt.Errorf("%s %s: %s", fieldNames[field], quote(word), why)
		}
	}
	return false, nil
}

// outOfRange says why the formula has no price for this value of a field; nothing if it has one. It
// takes the logarithm of spot / strike, and divides by volatility × √time.
func outOfRange[T Float](o *option[T], field int) string {
	switch field {
	case spotField, strikeField, volatilityField, timeField:
		if !(o.numbers[field] > 0) {
			return fmt.Sprintf("it has to be greater than 0, also as a float%d, for the formula to have a price", 8*unsafe.Sizeof(o.numbers[field]))
		}
	}
	return ""
}

// nextWord cuts the first word off a line; it is empty at the end.
func nextWord(line []byte) (word, rest []byte) {
	begin := 0
	for begin < len(line) && isBlank(line[begin]) {
		begin++
	}
	end := begin
	for end < len(line) && !isBlank(line[end]) {
		end++
	}
	return line[begin:end], line[end:]
}

// isBlank tells what fscanf skips.
func isBlank(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

// quote is what was found, for an error.
func quote(found []byte) string {
	const most = 60
	for len(found) > 0 && isBlank(found[len(found)-1]) {
		found = found[:len(found)-1]
	}
	if len(found) > most {
		return strconv.Quote(string(found[:most])) + "…"
	}
	return strconv.Quote(string(found))
}

// plural is "1 field" or "2 fields".
func plural[N int | int64](n N, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.FormatInt(int64(n), 10) + " " + what + "s"
}
