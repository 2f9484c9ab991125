package offload

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
)

// timeline remembers who did what when, the last so many parts.
type timeline struct {
	events []event // a ring; nil: nothing is remembered
	next   int
	full   bool
}

// event is a part that was computed, from began to ended, by worker: 0 is the caller, executor k is k+1.
type event struct {
	began, ended float64
	lo, hi       int
	step         int
	worker       int
}

// maxEvents is how many parts a timeline has room for.
const maxEvents = 1 << 14

func newTimeline(wanted bool) timeline {
	if !wanted {
		return timeline{}
	}
	return timeline{events: make([]event, maxEvents)}
}

func (t *timeline) add(worker int, began, ended float64, lo, hi, step int) {
	if t.events == nil {
		return
	}
	t.events[t.next] = event{began, ended, lo, hi, step, worker}
	t.next++
	if t.next == len(t.events) {
		t.next, t.full = 0, true
	}
}

// write writes Chrome's trace format: chrome://tracing and Perfetto show it. Names are those of the rows.
func (t *timeline) write(out io.Writer, names []string) error {
	w := bufio.NewWriter(out)
	fmt.Fprint(w, `{"displayTimeUnit":"ns","traceEvents":[`)
	for row, name := range names {
		quoted, err := json.Marshal(name)
		if err != nil {
			return err
		}
		if row > 0 {
			fmt.Fprint(w, ",")
		}
		fmt.Fprintf(w, "\n"+`{"ph":"M","pid":1,"tid":%d,"name":"thread_name","args":{"name":%s}}`, row, quoted)
	}
	events := t.events[:t.next]
	if t.full {
		events = append(append([]event(nil), t.events[t.next:]...), events...)
	}
	for i := range events {
		e := &events[i]
		fmt.Fprintf(w, ",\n"+`{"ph":"X","pid":1,"tid":%d,"ts":%.3f,"dur":%.3f,"name":"%d items","args":{"step":%d,"lo":%d,"hi":%d}}`,
			e.worker, 1e6*e.began, 1e6*(e.ended-e.began), e.hi-e.lo, e.step, e.lo, e.hi)
	}
	fmt.Fprint(w, "\n]}\n")
	if err := w.Flush(); err != nil {
		return fmt.Errorf("offload: writing the trace of a split: %w", err)
	}
	return nil
}
