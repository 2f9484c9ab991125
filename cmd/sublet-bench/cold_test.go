package main

import (
	"strings"
	"testing"

	"github.com/sublet-hpc/sublet/cmd/internal/output"
)

// Where executors came from is said as it was.
func TestColdSaysWhereExecutorsCameFrom(t *testing.T) {
	for want, pooled := range map[string]int{"started anew": 0, "started anew in part": 1, "from the pool": 2} {
		var text strings.Builder
		r := coldResult{warmResult: warmResult{Executors: 2, Repetitions: 1}, Pooled: pooled}
		if err := r.write(&text, output.Table); err != nil || !strings.HasSuffix(text.String(), "executors    "+want+"\n") {
			t.Errorf("%d of 2 in the pool: %q, %v", pooled, text.String(), err)
		}
	}
}
