package launcher

import (
	"testing"
	"time"
)

func TestWordsOfTheLifeline(t *testing.T) {
	for _, ends := range []time.Time{{}, time.Unix(1, 0), time.Unix(1800000000, 0)} {
		if got, is := ParseWord(endsWord + FormatEnds(ends)); !is || !got.Equal(ends) {
			t.Errorf("%v is read as %v, %v", ends, got, is)
		}
	}
	for _, line := range []string{"", "ends", "ends ", "ends soon", "ends -5", "ends 0", "begins 5", "ends 99999999999999999999"} {
		if ends, is := ParseWord(line); is {
			t.Errorf("%q is read as %v", line, ends)
		}
	}
}
