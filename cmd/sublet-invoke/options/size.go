package options

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Size is a number of bytes on a command line: 4096, 4KiB, 1.5MiB.
type Size int64

var units = []struct {
	name  string
	bytes float64
}{
	// The longer names first: "4KiB" ends in "B", too.
	{"KiB", 1 << 10},
	{"MiB", 1 << 20},
	{"GiB", 1 << 30},
	{"TiB", 1 << 40},
	{"kB", 1e3},
	{"MB", 1e6},
	{"GB", 1e9},
	{"TB", 1e12},
	{"B", 1},
}

// maxSize is below what counts exactly in a float64, and above any memory.
const maxSize = 1 << 52

// String implements pflag.Value: the largest unit that leaves a whole number.
func (s *Size) String() string {
	for i := 3; i >= 0; i-- {
		if unit := Size(units[i].bytes); *s >= unit && *s%unit == 0 {
			return fmt.Sprintf("%d%s", *s/unit, units[i].name)
		}
	}
	return strconv.FormatInt(int64(*s), 10)
}

// Type implements pflag.Value.
func (s *Size) Type() string { return "BYTES" }

// Set implements pflag.Value.
func (s *Size) Set(text string) error {
	number, factor := text, 1.0
	for _, unit := range units {
		if rest, ok := strings.CutSuffix(text, unit.name); ok {
			number, factor = strings.TrimSpace(rest), unit.bytes
			break
		}
	}
	value, err := strconv.ParseFloat(number, 64)
	bytes := value * factor
	switch {
	case err != nil || strings.Trim(number, "0123456789.") != "":
		return fmt.Errorf("a size is a number of bytes, or one with a unit: 4096, 4KiB, 16MiB, 1GB")
	case bytes > maxSize:
		return fmt.Errorf("at most %d bytes", int64(maxSize))
	case bytes != math.Trunc(bytes):
		return fmt.Errorf("it is no whole number of bytes")
	}
	*s = Size(bytes)
	return nil
}
