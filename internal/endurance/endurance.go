package endurance

import (
	"fmt"
	"os"
	"testing"
)

// Variable is that of the environment that makes the tests run in full, whatever its value.
const Variable = "SUBLET_TEST_ENDURANCE"

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
