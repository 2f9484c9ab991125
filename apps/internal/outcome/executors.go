package outcome

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// Loss is why a rank lost an executor.
type Loss struct {
	Rank int    `json:"rank"`
	Text string `json:"text"`
}

// WriteLosses says which executors a program has lost, a line for each as long as they are few. Of those that were lost
// it may have only the first losses.
func WriteLosses(w io.Writer, program string, losses []Loss, lost int) {
	const most = 5
	told := min(len(losses), most)
	for _, loss := range losses[:told] {
		fmt.Fprintf(w, "%s: rank %d: %s\n", program, loss.Rank, loss.Text)
	}
	if more := lost - told; more > 0 && lost > most {
		fmt.Fprintf(w, "%s: and %d more\n", program, more)
	}
}

// Names are those by which executors are reached: all that there are, joined by "+", or nil if there are no executors.
func Names[E any](executors []E, name func(E) string) *string {
	if len(executors) == 0 {
		return nil
	}
	var all []string
	for _, e := range executors {
		all = append(all, name(e))
	}
	slices.Sort(all)
	joined := strings.Join(slices.Compact(all), "+")
	return &joined
}
