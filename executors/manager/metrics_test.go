package manager

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sublet-hpc/sublet/internal/control"
)

// metricsOf are a manager's, as text.
func metricsOf(t *testing.T, m *Manager) string {
	t.Helper()
	reply := httptest.NewRecorder()
	metricsHandler(m).ServeHTTP(reply, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	if reply.Code != http.StatusOK {
		t.Fatalf("status %d: %s", reply.Code, reply.Body)
	}
	return reply.Body.String()
}

// wantMetrics waits until there are lines with these beginnings: what is told to clients is counted by then,
// and what ends may need a moment.
func wantMetrics(t *testing.T, m *Manager, when string, want ...string) {
	t.Helper()
	for until := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		text, missing := metricsOf(t, m), []string{}
		for _, line := range want {
			if !regexp.MustCompile(`(?m)^sublet_node_` + line + `$`).MatchString(text) {
				missing = append(missing, line)
			}
		}
		if len(missing) == 0 {
			return
		}
		if time.Now().After(until) {
			t.Fatalf("%s: there is no %s in\n%s", when, strings.Join(missing, " and no "), text)
		}
	}
}

// What executors do and how they end is counted, while they live and afterwards.
func TestMetricsCount(t *testing.T) {
	m := newManager(t, testCores(90, 3))
	c := welcome(t, m)
	wantMetrics(t, m, "before", `leases 0`, `cores\{state="occupied"\} 1`, `cores\{state="free"\} 2`, `registered 0`, `executors_lost_total 0`)
	c.mustLease(1)
	wantMetrics(t, m, "with a lease", `leases 1`, `cores\{state="lent"\} 1`, `cores\{state="free"\} 1`)
	for cause, transport := range map[string]string{"signal": "die", "exit": "exit"} {
		c.send(control.TypeOpen, 0, control.Open{Transport: transport})
		c.expect(control.TypeEnded, &control.Ended{})
		c.expect(control.TypeFailed, &control.Failed{})
		c.expect(control.TypeReplaced, &control.Executor{})
		wantMetrics(t, m, transport, `executors_died_total\{cause="`+cause+`"\} 1`)
	}
	wantMetrics(t, m, "both replaced", `executors_replaced_total 2`, `executors_lost_total 0`)
	c.release()
	wantMetrics(t, m, "released", `leases 0`, `executors\{state="[a-z]+"\} 0`, `cores\{state="free"\} 2`)

	r := request(1, libraryOnce)
	r.Environment = append(r.Environment, markFile+"="+filepath.Join(t.TempDir(), "mark"))
	_, _, err := c.lease(r)
	check(t, err)
	check(t, c.conn.Send(control.TypeOpen, 0, 0, control.Open{Transport: "die"}))
	c.expect(control.TypeEnded, &control.Ended{})
	c.expect(control.TypeEnded, &control.Ended{})
	wantMetrics(t, m, "lost", `executors_lost_total 1`)
	now := time.Now()
	m.tally.report(nil, true, now)
	m.tally.report(errors.New("no answer"), false, now.Add(time.Hour))
	m.tally.refusal()
	wantMetrics(t, m, "told", `registered 0`, `reports_total\{result="answered"\} 1`, `reports_total\{result="failed"\} 1`, `tickets_refused_total 1`)
}

// While a node drains there are no spares, and afterwards there are again.
func TestDrainedNodeKeepsNoSpares(t *testing.T) {
	m := newPooled(t, testCores(91, 3), 2)
	c := welcome(t, m)
	c.full(2)
	wantMetrics(t, m, "full", `spares\{state="ready"\} 2`, `draining 0`)
	m.pool.setIdle(true)
	m.emptied(t)
	c.full(0)
	wantMetrics(t, m, "idle", `spares\{state="ready"\} 0`, `spares\{state="starting"\} 0`, `draining 1`)
	m.pool.setIdle(false)
	c.full(2)
}

// emptied waits until no spare is left. A pool with more than it wants counts as full meanwhile.
func (m *Manager) emptied(t *testing.T) {
	t.Helper()
	tooLong := time.After(patience)
	for {
		state, changed := m.pool.state()
		if state.Ready == 0 {
			return
		}
		select {
		case <-changed:
		case <-tooLong:
			t.Fatalf("a pool of %+v, want none", state)
		}
	}
}

// A manager that grants leases itself counts whom it refuses, and has nothing to say of reports.
func TestMetricsWithoutAResourceManager(t *testing.T) {
	m := granting(t, testCores(92, 1))
	c := stranger(t, m)
	c.greet(nil)
	_, err := c.ask(control.TypeProve, control.Manager, control.Prove{Proof: []byte("another")}, nil)
	wantCode(t, err, control.CodeTicket, "copy that file")
	wantMetrics(t, m, "refused once", `tickets_refused_total 1`, `leases 0`)
	if text := metricsOf(t, m); strings.Contains(text, "report") || strings.Contains(text, "registered") {
		t.Errorf("it reports to nobody:\n%s", text)
	}
}
