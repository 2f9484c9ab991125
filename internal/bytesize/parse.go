package bytesize

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Parse reads an amount of memory as people and Slurm write it: a whole number, and K, M, G or T for
// multiples of 1024, which may be followed by iB or B. Without a letter it is bytes.
func Parse(text string) (int64, error) {
	upper := strings.ToUpper(strings.TrimSpace(text))
	number := strings.TrimRight(upper, "KMGTIB ")
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%q is no amount of memory: write a number and K, M, G or T, as in 512M", text)
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
	if n > math.MaxInt64>>shift {
		return 0, fmt.Errorf("%q is more memory than can be counted", text)
	}
	return n << shift, nil
}

// Value is an amount of memory as an option of a command line.
type Value int64

// Set reads an option's value.
func (v *Value) Set(text string) error {
	n, err := Parse(text)
	*v = Value(n)
	return err
}

// String writes it so that Set can read it.
func (v *Value) String() string {
	if *v == 0 {
		return "0"
	}
	return strings.ReplaceAll(Format(int64(*v)), " ", "")
}

// Type is what a value is called in help.
func (v *Value) Type() string { return "size" }
