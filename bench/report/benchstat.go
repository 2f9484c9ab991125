package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/sublet-hpc/sublet/bench/record"
)

// WriteBenchstat writes the medians of blocks in the form of Go's benchmarks, which benchstat reads.
func WriteBenchstat(w io.Writer, run *record.Run) error {
	_, err := fmt.Fprintf(w, "goos: linux\npkg: github.com/sublet-hpc/sublet/bench\ncpu: %s\n", run.Machine.Processor)
	for _, s := range run.Series {
		name := fmt.Sprintf("Benchmark%s%s/%s/mode=%s/bytes=%d/executors=%d", strings.ToUpper(s.Kind[:1]), s.Kind[1:], s.Name, s.Mode, s.Bytes, s.Executors)
		for i, value := range s.Values() {
			n := len(s.Blocks[i].Samples) * s.Operations
			if s.IsRate() {
				value = 1e9 / value
			}
			if err == nil {
				_, err = fmt.Fprintf(w, "%s %d %.1f ns/op\n", strings.ReplaceAll(name, " ", "-"), n, value)
			}
		}
	}
	return err
}
