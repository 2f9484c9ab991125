package offload

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sublet-hpc/sublet/internal/control"
)

// An executor is given up for what it says twice, a second apart and after the time that bytes need.
func TestDoubt(t *testing.T) {
	type look struct {
		sight   sight
		begun   uint64
		running bool
		err     error
	}
	five := sight{oldest: 5, last: 7, function: "task"}
	heavy := five
	heavy.bytes = 3 * slowestNetwork
	idle, past, runs := look{sight: five, begun: 4}, look{sight: five, begun: 6, running: true}, look{sight: five, begun: 5, running: true}
	silent := look{sight: five, err: context.DeadlineExceeded}
	for _, test := range []struct {
		name   string
		looks  []look // one a second
		reason string // of the last; empty: none
	}{
		{"once", []look{idle}, ""},
		{"waits for it", []look{idle, idle}, "request of invocation 5 (task) was lost"},
		{"runs the next", []look{past, past}, "response of invocation 5 (task) was lost"},
		{"runs it", []look{runs, runs, runs, runs}, ""},
		{"runs it after all", []look{idle, runs, idle}, ""},
		{"another is waited for", []look{idle, {sight: sight{oldest: 6, last: 7}, begun: 5}, {sight: sight{oldest: 7, last: 7}, begun: 6}}, ""},
		{"bytes travel", []look{{sight: heavy, begun: 5}, {sight: heavy, begun: 5}, {sight: heavy, begun: 5}}, ""},
		{"bytes are late", []look{{sight: heavy, begun: 5}, {sight: heavy, begun: 5}, {sight: heavy, begun: 5}, {sight: heavy, begun: 5}}, "response of invocation 5"},
		{"lies", []look{{sight: five, begun: 9}, {sight: five, begun: 9}}, "only 7 were sent"},
		{"silent once", []look{silent, runs, silent}, ""},
		{"silent", []look{silent, silent}, "has not answered for 5s"},
		{"busy", []look{silent, {sight: five, err: errBusy}, silent}, ""},
		{"refuses", []look{{sight: five, err: errors.New("never heard")}, {sight: five, err: errors.New("never heard")}}, "never heard"},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := doubt{times: usualStallTimes, sight: test.looks[0].sight}
			now := time.Now()
			for i, look := range test.looks {
				now = now.Add(usualStallTimes.interval)
				if !d.about(look.sight) {
					continue
				}
				err := d.judge(now, control.Progress{Begun: look.begun, Running: look.running}, look.err, 0)
				if i < len(test.looks)-1 {
					if err != nil {
						t.Fatalf("at look %d: %v", i, err)
					}
				} else if (err != nil) != (test.reason != "") || err != nil && !strings.Contains(err.Error(), test.reason) {
					t.Fatalf("instead of %q: %v", test.reason, err)
				}
			}
		})
	}
}

// A connection that can not even be looked at is given up when what is being sent would long be there.
func TestDoubtOfAStuckConnection(t *testing.T) {
	d := doubt{times: usualStallTimes}
	d.about(sight{oldest: 5, last: 5})
	start := time.Now()
	d.cannotLook(start)
	idle := control.Progress{Begun: 4}
	if err := d.judge(start.Add(stuckPatience+9*time.Second), idle, nil, 10*slowestNetwork); err != nil {
		t.Errorf("before its time: %v", err)
	}
	d.cannotLook(start.Add(time.Minute)) // is not the beginning
	if err := d.judge(start.Add(stuckPatience+11*time.Second), idle, nil, 10*slowestNetwork); err == nil {
		t.Error("it was not given up")
	}
}
