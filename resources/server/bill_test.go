package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sublet-hpc/sublet/config"
	"github.com/sublet-hpc/sublet/internal/hosts"
	"github.com/sublet-hpc/sublet/resources/api"
)

// computed is what a lease has used of a node: some seconds of computing.
func computed(lease, account string, seconds uint64, ended time.Time) api.Used {
	return api.Used{Lease: lease, User: "ann", Account: account, Began: noon, Ended: ended, Usage: api.Usage{Computing: api.Uint128Of(seconds * 1e9)}}
}

func report(t *testing.T, b *book, node, instance string, number uint64, at time.Time, used ...api.Used) {
	t.Helper()
	_, err := b.heartbeat(node, api.Heartbeat{Instance: instance, Beat: number, State: api.State{Used: used}}, at)
	check(t, err)
}

// booked is what an account has in the ledger, in seconds of computing.
func booked(b *book, account string) uint64 {
	return b.state.Billing.Accounts[account].Computing.Lo / 1e9
}

// What leases that last have used is written now and then, their end at once; reports without news write
// nothing, and one that comes again counts nothing.
func TestWhenUsageIsBooked(t *testing.T) {
	b := testBook(t)
	register(t, b, noon, registration("n", "i", 0, 1))
	revision := b.ledger.Revision()
	report(t, b, "n", "i", 1, noon, computed("l", "a", 1, time.Time{}))
	report(t, b, "n", "i", 2, noon.Add(bookInterval-1), computed("l", "a", 5, time.Time{}))
	if b.ledger.Revision() != revision || booked(b, "a") != 0 {
		t.Errorf("%d is booked after %d writes", booked(b, "a"), b.ledger.Revision()-revision)
	}
	report(t, b, "n", "i", 3, noon.Add(bookInterval), computed("l", "a", 6, time.Time{}))
	if b.ledger.Revision() != revision+1 || booked(b, "a") != 6 {
		t.Errorf("%d is booked after %d writes", booked(b, "a"), b.ledger.Revision()-revision)
	}
	for n := range uint64(3) { // nothing has happened since
		report(t, b, "n", "i", 4+n, noon.Add((2+time.Duration(n))*bookInterval), computed("l", "a", 6, time.Time{}))
	}
	if b.ledger.Revision() != revision+1 {
		t.Errorf("reports without news have written %d times", b.ledger.Revision()-revision-1)
	}
	at := noon.Add(5 * bookInterval)
	for n := range uint64(3) { // the answers are lost
		report(t, b, "n", "i", 10+n, at, computed("l", "a", 7, at))
	}
	if b.ledger.Revision() != revision+2 || booked(b, "a") != 7 || len(b.state.Billing.Lines) != 1 {
		t.Errorf("%d is booked after %d writes, lines %+v", booked(b, "a"), b.ledger.Revision()-revision, b.state.Billing.Lines)
	}
	// What its manager reports no more is forgotten, but not at once: an older report could be on its way.
	report(t, b, "n", "i", 20, at.Add(remembered-1))
	if len(b.state.Billing.Parts) != 1 {
		t.Error("it is forgotten at once")
	}
	report(t, b, "n", "i", 21, at.Add(remembered-1+bookInterval))
	if len(b.state.Billing.Parts) != 0 || booked(b, "a") != 7 {
		t.Errorf("parts %+v", b.state.Billing.Parts)
	}
}

// What a manager has reported before it is given up, removed or replaced is billed.
func TestUsageOfManagersThatGo(t *testing.T) {
	for how, goes := range map[string]func(b *book, at time.Time){
		"silent":     func(b *book, at time.Time) { b.tick(at.Add(Silence + 1)) },
		"removed":    func(b *book, at time.Time) { check(t, b.removeNode("n", true, at)) },
		"registered": func(b *book, at time.Time) { register(t, b, at, registration("n", "i", 0)) },
		"asked":      func(b *book, at time.Time) { b.billed(at) },
	} {
		b := testBook(t)
		register(t, b, noon, registration("n", "i", 0))
		report(t, b, "n", "i", 1, noon.Add(time.Second), computed("l", "a", 1, time.Time{}))
		goes(b, noon.Add(time.Second))
		if booked(b, "a") != 1 {
			t.Errorf("%s: %d is booked", how, booked(b, "a"))
		}
		if how == "removed" { // its last words are heard
			_, err := b.heartbeat("n", api.Heartbeat{Instance: "i", Beat: 2, State: api.State{Used: []api.Used{computed("l", "a", 3, noon)}}}, noon.Add(2*time.Second))
			if !errors.Is(err, api.ErrRemoved) || booked(b, "a") != 3 {
				t.Errorf("%s: %v, %d is booked", how, err, booked(b, "a"))
			}
		}
	}
	// Another process of that name says that the leases of the one before are over, one that comes back that
	// they go on.
	b := testBook(t)
	register(t, b, noon, registration("n", "i", 0))
	report(t, b, "n", "i", 1, noon, computed("l", "a", 1, time.Time{}))
	b.tick(noon.Add(Silence + 1))
	back := registration("n", "i", 0)
	back.Used = []api.Used{computed("l", "a", 2, time.Time{})}
	register(t, b, noon.Add(time.Minute), back)
	if lines := b.state.Billing.Lines; len(lines) != 0 {
		t.Errorf("a lease that goes on has lines %+v", lines)
	}
	b.tick(noon.Add(2 * time.Minute))
	register(t, b, noon.Add(2*time.Minute), registration("n", "j", 0))
	if lines := b.state.Billing.Lines; len(lines) != 1 || !lines[0].Lost || lines[0].Computing.Lo != 2e9 {
		t.Errorf("a lease of a manager that has gone has lines %+v", lines)
	}
}

// A lease that lasts has a line every hour; one whose node is not heard of for a day is closed.
func TestLinesOfLongLeases(t *testing.T) {
	b := testBook(t)
	register(t, b, noon, registration("n", "i", 0))
	at, number := noon, uint64(0)
	for range 150 {
		at, number = at.Add(time.Minute), number+1
		report(t, b, "n", "i", number, at, computed("l", "a", number, time.Time{}))
		b.tick(at)
	}
	lines := b.state.Billing.Lines
	if len(lines) != 2 || !lines[0].Ended.IsZero() || lines[0].Computing.Lo+lines[1].Computing.Lo < 119e9 {
		t.Fatalf("after two hours and a half: %+v", lines)
	}
	b.tick(at.Add(partSilence))
	if got := b.state.Billing.Lines; len(got) != 3 || got[2].Lost { // written off, and the rest of what it had used
		t.Errorf("after a day: %+v", got)
	}
	b.tick(at.Add(partSilence + 2*time.Minute))
	if got := b.state.Billing.Lines; len(got) != 4 || !got[3].Lost || booked(b, "a") != 150 {
		t.Errorf("after more than a day: %+v", got)
	}
	b.tick(at.Add(2*partSilence + 5*time.Minute))
	if len(b.state.Billing.Parts) != 0 {
		t.Errorf("after two days: %+v", b.state.Billing.Parts)
	}
}

// The bill over HTTP: totals, of one account, since a time, with prices; and after a restart the same.
func TestBillOverHTTP(t *testing.T) {
	dir := t.TempDir()
	s, stop := running(t, dir)
	prices, err := config.ParsePrices("prices.json", []byte(`{"currency": "EUR", "gb_second": "0.000002", "computing_second": 0.5, "accounts": {"b": {"computing_second": 0}}}`))
	check(t, err)
	s.bill.prices = &prices
	c, ctx := client(t, dir), t.Context()
	_, err = c.Register(ctx, mine("n", 0, 1))
	check(t, err)
	say := func(beat uint64, used ...api.Used) {
		t.Helper()
		_, err := c.Heartbeat(ctx, "n", api.Heartbeat{Instance: "i", Beat: beat, State: api.State{Used: used}})
		check(t, err)
	}
	one := computed("l1", "a", 3, noon)
	one.Allocated = api.Product(1e9, 500e9) // 1 GB, 500 s
	say(1, one, computed("l2", "b", 4, time.Time{}))
	between := time.Now()
	hosts.Eventually(t, "the line of l1 in the file", func() bool {
		text, err := os.ReadFile(filepath.Join(dir, "bill.jsonl"))
		return err == nil && bytes.Count(text, []byte("\n")) == 1
	})
	say(2, computed("l2", "b", 4, time.Time{}), computed("l3", "a", 5, noon))

	bill := func(account string, since time.Time) api.Bill {
		t.Helper()
		bill, err := c.Bill(ctx, account, since)
		check(t, err)
		if !bill.Since.Equal(since) || bill.Until.Before(between) || bill.Currency != "EUR" {
			t.Errorf("%+v", bill)
		}
		return bill
	}
	a := api.AccountBill{Account: "a", GBSeconds: "500", ComputingSeconds: "8", SpinningSeconds: "0", Cost: "4.001"}
	other := api.AccountBill{Account: "b", GBSeconds: "0", ComputingSeconds: "4", SpinningSeconds: "0", Cost: "0"}
	later := api.AccountBill{Account: "a", GBSeconds: "0", ComputingSeconds: "5", SpinningSeconds: "0", Cost: "2.5"}
	compare := func(when string) {
		t.Helper()
		for _, x := range []struct {
			account string
			since   time.Time
			want    []api.AccountBill
		}{
			{"", time.Time{}, []api.AccountBill{a, other}},
			{"a", time.Time{}, []api.AccountBill{a}},
			{"", noon, []api.AccountBill{a, other}},
			{"a", between, []api.AccountBill{later}},
			{"", between, []api.AccountBill{later, other}}, // l2 lasts
			{"a", time.Now().Add(time.Hour), []api.AccountBill{{Account: "a", GBSeconds: "0", ComputingSeconds: "0", SpinningSeconds: "0", Cost: "0"}}},
		} {
			if diff := cmp.Diff(x.want, bill(x.account, x.since).Accounts); diff != "" {
				t.Errorf("%s: of %q since %v (-want +got):\n%s", when, x.account, x.since, diff)
			}
		}
	}
	compare("before")
	if _, err := c.Bill(ctx, "nobody", time.Time{}); !errors.Is(err, api.ErrUnknownAccount) || !strings.Contains(err.Error(), `"nobody"`) {
		t.Errorf("of nobody: %v", err)
	}
	if status, text := get(t, c.Access().Pin, s.URL()+"/v1/bill?since=yesterday", c.Access().Tokens.Client); status != 400 || !strings.Contains(text, "RFC 3339") {
		t.Errorf("since yesterday: %d %s", status, text)
	}
	_, metrics := get(t, c.Access().Pin, s.URL()+"/metrics", c.Access().Tokens.Client)
	for _, want := range []string{`sublet_cluster_account_computing_seconds_total{account="a"} 8`, `sublet_cluster_account_gb_seconds_total{account="a"} 500`, `sublet_cluster_account_spinning_seconds_total{account="b"} 0`} {
		if !strings.Contains(metrics, want+"\n") {
			t.Errorf("there is no %s in %s", want, metrics)
		}
	}
	stop()
	s, _ = running(t, dir)
	s.bill.prices = &prices
	compare("after a restart")
	s.book.mu.Lock()
	lines := len(s.book.state.Billing.Lines)
	s.book.mu.Unlock()
	if text, err := os.ReadFile(filepath.Join(dir, "bill.jsonl")); err != nil || bytes.Count(text, []byte("\n")) != 2 || lines != 0 {
		t.Errorf("%v: %s; %d lines are not written", err, text, lines)
	}
}

// The worked example of docs/billing.md is computed as it says.
func TestExampleOfTheDocumentation(t *testing.T) {
	text, err := os.ReadFile("../../docs/billing.md")
	check(t, err)
	blocks := map[string]string{}
	for i, part := range strings.Split(string(text), "```") {
		if i%2 == 1 {
			kind, body, _ := strings.Cut(part, "\n")
			blocks[kind] += body
		}
	}
	prices, err := config.ParsePrices("docs/billing.md", []byte(blocks["json prices"]))
	check(t, err)
	_, err = config.ParseQuotas("docs/billing.md", []byte(blocks["json quotas"]))
	check(t, err)
	var line api.BillLine
	check(t, json.Unmarshal([]byte(blocks["json line"]), &line))
	var want api.Bill
	check(t, json.Unmarshal([]byte(blocks["json bill"]), &want))
	if got := (&biller{prices: &prices}).of(line.Account, line.Usage); len(want.Accounts) != 1 || got != want.Accounts[0] || want.Currency != prices.Currency {
		t.Errorf("docs/billing.md says %+v, and it is %+v", want, got)
	}
	for _, figure := range []string{"0.00018", "0.0002", "0.00000125"} { // of the example's text
		if !strings.Contains(string(text), figure) {
			t.Errorf("docs/billing.md does not say %s", figure)
		}
	}
}

// A cost is rounded once, to the nearest.
func TestCostIsRoundedOnce(t *testing.T) {
	prices, err := config.ParsePrices("p", []byte(`{"gb_second": 0.5, "computing_second": 0.000000001, "spinning_second": 0.000000001}`))
	check(t, err)
	for _, c := range []struct {
		usage api.Usage
		want  string
	}{
		{api.Usage{}, "0"},
		{api.Usage{Computing: api.Uint128Of(499_999_999)}, "0"},
		{api.Usage{Computing: api.Uint128Of(500_000_000)}, "0.000000001"},
		{api.Usage{Computing: api.Uint128Of(300_000_000), Spinning: api.Uint128Of(300_000_000)}, "0.000000001"},
		{api.Usage{Allocated: api.Product(1<<40, 24*3600*1e9)}, "47498902.3199232"}, // 1 TiB for a day
	} {
		if got := api.Decimal(costOf(&prices, "a", c.usage), costPlaces); got != c.want {
			t.Errorf("%+v costs %s, not %s", c.usage, got, c.want)
		}
	}
}
