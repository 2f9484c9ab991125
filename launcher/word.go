package launcher

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// endsWord begins a line that a launcher writes to the lifeline of its managers.
const endsWord = "ends "

// never is what is said of an allocation without an end.
const never = "never"

// FormatEnds is when an allocation ends, as --ends of executor managers has it: seconds since 1970; the zero time: never.
func FormatEnds(ends time.Time) string {
	if ends.IsZero() {
		return never
	}
	return strconv.FormatInt(ends.Unix(), 10)
}

// ParseWord reads a line of the lifeline: when the allocation ends by now; the zero time: never. Lines that say something else,
// and are not for this version, are false.
func ParseWord(line string) (ends time.Time, is bool) {
	text, is := strings.CutPrefix(line, endsWord)
	if !is {
		return time.Time{}, false
	}
	if text == never {
		return time.Time{}, true
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil || seconds <= 0 {
		return time.Time{}, false
	}
	return time.Unix(seconds, 0), true
}

// Ends tells all managers when the allocation ends, because that has changed; the zero time: never. Those that have not started
// yet hear of it when they do.
func (l *Launch) Ends(ends time.Time) error {
	var all []error
	for _, s := range l.steps {
		if _, err := io.WriteString(s.lifeline, endsWord+FormatEnds(ends)+"\n"); err != nil {
			all = append(all, fmt.Errorf("launch: the executor managers on %v were not told when the allocation ends: %w", s.nodes, err))
		}
	}
	return errors.Join(all...)
}
