package endurance

import (
	"fmt"
	"os"
	"slices"
	"testing"
	"time"
)

// Variable is that of the environment that makes the tests run in full, whatever its value.
const Variable = "SUBLET_TEST_ENDURANCE"

// busy is how many times as long as promised something may take where the machine may be busy.
const busy = 10

// InFull tells whether the tests are to run in full.
func InFull() bool { return os.Getenv(Variable) != "" }

// Count is how often to do something: a few times, or as often as it takes.
func Count(few, full int) int {
	if InFull() {
		return full
	}
	return few
}

// Report says what a test has found, in one line.
func Report(t testing.TB, format string, args ...any) {
	t.Helper()
	line := fmt.Sprintf("%s: "+format, append([]any{t.Name()}, args...)...)
	if InFull() {
		fmt.Fprintln(os.Stdout, "endurance:", line)
		return
	}
	t.Log(line)
}

// Times are how long something took, each time.
type Times []time.Duration

// Worst is the longest; 0 if there are none.
func (t Times) Worst() time.Duration {
	if len(t) == 0 {
		return 0
	}
	return slices.Max(t)
}

// Median is the one in the middle; 0 if there are none.
func (t Times) Median() time.Duration {
	if len(t) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(t))
	return sorted[len(sorted)/2]
}

// String has the figures, to a tenth of a millisecond.
func (t Times) String() string {
	const unit = 100 * time.Microsecond
	return fmt.Sprintf("median %v, worst %v of %d", t.Median().Round(unit), t.Worst().Round(unit), len(t))
}

// Within fails a test if one of the times is above the bar; where the machine may be busy, above ten
// times the bar. One in fifty may take twice as long: machines have moments of their own.
func (t Times) Within(tb testing.TB, bar time.Duration) {
	tb.Helper()
	if !InFull() {
		bar *= busy
	}
	above := 0
	for _, took := range t {
		if took > bar {
			above++
		}
	}
	if worst := t.Worst(); above > len(t)/50 || worst > 2*bar {
		tb.Errorf("it took %v, and may take %v", worst, bar)
	}
}
