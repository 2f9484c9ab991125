package server

import (
	"fmt"
	"maps"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/sublet-hpc/sublet/internal/hosts"
	"github.com/sublet-hpc/sublet/resources/api"
)

// usageReporter is the manager of node n: each of its reports has a lease that has ended, and one that lasts
// has used more. What was not answered is said again.
type usageReporter struct {
	mu     sync.Mutex
	beat   uint64
	used   []api.Used // not answered
	known  usageReported
	ending chan struct{}
	group  sync.WaitGroup
}

// usageReported is what was answered: leases by account, each of a second of computing.
type usageReported map[string]uint64

func reportUsage(t *testing.T, c *api.Client) *usageReporter {
	t.Helper()
	r := &usageReporter{known: usageReported{}, ending: make(chan struct{})}
	r.group.Go(func() {
		for {
			r.report(t, c)
			select {
			case <-r.ending:
				return
			case <-time.After(2 * time.Millisecond):
			}
		}
	})
	return r
}

func (r *usageReporter) report(t *testing.T, c *api.Client) {
	r.mu.Lock()
	r.beat++
	r.used = append(r.used, computed(fmt.Sprint("billed", r.beat), fmt.Sprint("a", r.beat%3), 1, noon))
	said := r.used[:len(r.used):len(r.used)]
	beat := api.Heartbeat{Instance: "i", Beat: r.beat, State: api.State{Used: said}}
	r.mu.Unlock()
	if _, err := c.Heartbeat(t.Context(), "n", beat); err != nil {
		return // it is away; we say so again
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, used := range said {
		r.known[used.Account]++
	}
	r.used = r.used[len(said):]
}

// acknowledged is what has been answered by now.
func (r *usageReporter) acknowledged() usageReported {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.known)
}

// compare looks whether accounts have what had been answered before a kill; more may have come since.
func (r *usageReporter) compare(t *testing.T, c *api.Client, known usageReported) {
	t.Helper()
	bill, err := c.Bill(t.Context(), "", time.Time{})
	check(t, err)
	for _, account := range bill.Accounts {
		var has uint64
		_, err := fmt.Sscan(account.ComputingSeconds, &has)
		check(t, err)
		if has < known[account.Account] {
			t.Errorf("account %s has %d seconds, and %d were answered", account.Account, has, known[account.Account])
		}
		delete(known, account.Account)
	}
	if len(known) > 0 {
		t.Errorf("there is no account for %v", known)
	}
}

// finish ends the reports; then ledger and file have each lease once. It returns how many there were.
func (r *usageReporter) finish(t *testing.T, c *api.Client, dir string) (leases int) {
	t.Helper()
	close(r.ending)
	r.group.Wait()
	hosts.Eventually(t, "an answer to each report", func() bool {
		r.report(t, c)
		return len(r.used) == 0
	})
	if len(r.known) != 3 {
		t.Errorf("there were %v", r.known)
	}
	lines := map[string]int{}
	hosts.Eventually(t, "all lines", func() bool {
		clear(lines)
		err := readBill(filepath.Join(dir, "bill.jsonl"), time.Time{}, 1<<62, func(line *api.BillLine) { lines[line.Lease]++ })
		return err == nil && len(lines) >= int(r.beat) // else a line is just being written
	})
	for lease, times := range lines {
		if times != 1 {
			t.Errorf("lease %s has %d lines", lease, times)
		}
	}
	bill, err := c.Bill(t.Context(), "", time.Time{})
	check(t, err)
	since, err := c.Bill(t.Context(), "", noon)
	check(t, err)
	for i, account := range bill.Accounts {
		if want := fmt.Sprint(r.known[account.Account]); account.ComputingSeconds != want || since.Accounts[i] != account {
			t.Errorf("account %s has %s seconds, %s by its lines; it used %s", account.Account, account.ComputingSeconds, since.Accounts[i].ComputingSeconds, want)
		}
	}
	return len(lines)
}
