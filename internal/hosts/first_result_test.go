package hosts_test

import (
	"io"
	"net/http"
	"os/exec"
	"regexp"
	"syscall"
	"testing"
	"time"

	"github.com/sublet-hpc/sublet/internal/endurance"
	"github.com/sublet-hpc/sublet/internal/hosts"
	"github.com/sublet-hpc/sublet/offload"
)

// A lease by the resource manager, with an executor that has started already, to its first result: on this host, and on
// another one, to which there is TLS.
func TestEnduranceLeaseToFirstResult(t *testing.T) {
	c := newCluster(t)
	far := hosts.New(t)
	for name, node := range map[string]struct {
		command func(string, ...string) *exec.Cmd
		metrics string
		path    string
		flags   []string
		// For half of them. Quiet machines take 8 and 13 ms; beside hosts that take processors away for less than is
		// accounted it was twice that.
		bar time.Duration
	}{
		"here":            {exec.Command, hosts.Address + ":9470", "ring", nil, 20 * time.Millisecond},
		"on another host": {far.Command, far.Address + ":9470", "ofi-write", []string{"--cores", "1"}, 40 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			manager := c.Start(t, node.command(sublet, append([]string{"executor-manager", "--pool", "1", "--metrics", node.metrics}, node.flags...)...))
			s := session(t)
			took := endurance.Watch()
			for i := range endurance.Count(10, 100) {
				awaitSpare(t, node.metrics)
				begun := time.Now()
				l, err := s.Lease(within(t), offload.Want{Executors: 1, Library: library, Oversubscribe: true})
				check(t, err)
				echo(t, s, l.Executors()[0], 8)
				if i > 0 { // the first sends the library
					took.Add(time.Since(begun))
				}
				if path := l.Executors()[0].Path(); path.Transport != node.path {
					t.Fatalf("the executor is reached by %s", path)
				}
				check(t, l.Release())
			}
			endurance.Report(t, "lease to first result: %v", took)
			took.MedianWithin(t, node.bar)
			manager.End(t, syscall.SIGTERM)
		})
	}
}

var spareReady = regexp.MustCompile(`(?m)^sublet_node_spares\{state="ready"\} [1-9]`)

// awaitSpare waits until a manager has an executor that is ready for a lease.
func awaitSpare(t *testing.T, metrics string) {
	t.Helper()
	hosts.Eventually(t, "a spare executor", func() bool {
		response, err := http.Get("http://" + metrics + "/metrics")
		if err != nil {
			return false
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		return err == nil && spareReady.Match(text)
	})
}
