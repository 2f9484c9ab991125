package bytesize

import (
	"math"
	"strconv"
	"strings"
)

var units = []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}

// Format writes a number of bytes with at most one decimal, in the largest unit of which there is at
// least one.
func Format(bytes int64) string {
	if bytes < 0 {
		return "-" + Format(-max(bytes, -math.MaxInt64)) // the least has no opposite
	}
	value, unit := float64(bytes), 0
	for value >= 1024 && unit < len(units)-1 {
		value /= 1024
		unit++
	}
	text := strconv.FormatFloat(value, 'f', 1, 64)
	if text == "1024.0" && unit < len(units)-1 { // rounded up into the next unit
		text, unit = "1.0", unit+1
	}
	return strings.TrimSuffix(text, ".0") + " " + units[unit]
}
