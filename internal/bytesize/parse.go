package bytesize

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Parse reads an amount of memory as people and Slurm write it: a number, and K, M, G or T for
// multiples of 1024, which may be followed by iB or B. Without a letter it is bytes. A fraction (1.5G)
// must leave a whole number of bytes.
func Parse(text string) (int64, error) {
	upper := strings.ToUpper(strings.TrimSpace(text))
	number := strings.TrimRight(upper, "KMGTIB ")
	if strings.Trim(number, "0123456789.") != "" { // floats have more ways to be written
		return 0, notAnAmount(text)
	}
	shift := 0
	switch strings.TrimSpace(upper[len(number):]) {
	case "", "B":
	case "K", "KB", "KIB":
		shift = 10
	case "M", "MB", "MIB":
		shift = 20
	case "G", "GB", "GIB":
		shift = 30
	case "T", "TB", "TIB":
		shift = 40
	default:
		return 0, fmt.Errorf("%q has no unit of memory that we know: they are K, M, G and T", text)
	}
	if strings.Contains(number, ".") {
		return fraction(text, number, shift)
	}
	n, err := strconv.ParseUint(number, 10, 64)
	switch {
	case err != nil && strings.Trim(number, "0123456789") == "" && number != "", n > math.MaxInt64>>shift:
		return 0, fmt.Errorf("%q is more memory than can be counted", text)
	case err != nil:
		return 0, notAnAmount(text)
	}
	return int64(n) << shift, nil
}

// fraction reads a number with a decimal point.
func fraction(text, number string, shift int) (int64, error) {
	value, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return 0, notAnAmount(text)
	}
	bytes := math.Ldexp(value, shift)
	switch {
	case bytes > 1<<53: // where floats leave out whole numbers
		return 0, fmt.Errorf("%q is too much for a fraction; write a whole number", text)
	case bytes != math.Trunc(bytes):
		return 0, fmt.Errorf("%q is no whole number of bytes", text)
	}
	return int64(bytes), nil
}

func notAnAmount(text string) error {
	return fmt.Errorf("%q is no amount of memory: write a number and K, M, G or T, as in 512M", text)
}

// Value is an amount of memory as an option of a command line.
type Value int64

// Set reads an option's value.
func (v *Value) Set(text string) error {
	n, err := Parse(text)
	*v = Value(n)
	return err
}

// String writes it so that Set reads the same: in the largest unit of which it is a multiple.
func (v *Value) String() string {
	n, unit := int64(*v), 0
	for n != 0 && n%1024 == 0 && unit < 4 { // TiB
		n, unit = n/1024, unit+1
	}
	text := strconv.FormatInt(n, 10)
	if unit > 0 {
		text += units[unit]
	}
	return text
}

// Type is what a value is called in help.
func (v *Value) Type() string { return "size" }
