package server

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sublet-hpc/sublet/config"
	"github.com/sublet-hpc/sublet/resources/api"
)

// quotad is a book with quotas, in whose ledger there may be something already.
func quotad(t *testing.T, b *book, quotas, prices string) error {
	t.Helper()
	of, err := config.ParseQuotas("quotas.json", []byte(quotas))
	check(t, err)
	bill, err := newBiller(b, filepath.Join(t.TempDir(), "bill.jsonl"))
	check(t, err)
	t.Cleanup(func() { check(t, bill.file.close()) })
	check(t, bill.write())
	if prices != "" {
		its, err := config.ParsePrices("prices.json", []byte(prices))
		check(t, err)
		bill.prices = &its
	}
	b.quotas, err = newQuotas(of, bill, noon.Add(time.Hour))
	return err
}

func askFor(t *testing.T, b *book, account string, executors int, wait time.Duration) *waiter {
	t.Helper()
	w, err := b.ask(api.GrantRequest{Executors: executors, UID: uid, Account: account, Wait: wait}, noon)
	check(t, err)
	return w
}

func wantQuota(t *testing.T, w *waiter, parts ...string) {
	t.Helper()
	var over *overQuota
	if !errors.As(w.err, &over) {
		t.Fatalf("%v, not refused for its quota", w.err)
	}
	for _, part := range parts {
		if !strings.Contains(over.Error(), part) {
			t.Errorf("%q does not say %q", over, part)
		}
	}
}

// An account has at most so many cores at once; who waits gets them when its own leases end. Others
// notice nothing.
func TestQuotaOfCores(t *testing.T) {
	b := testBook(t)
	check(t, quotad(t, b, `{"accounts": {"a": {"cores": 3}}, "default": {"cores": 4}}`, ""))
	register(t, b, noon, registration("n", "i", 0, 1, 2, 3, 4, 5, 6, 7))
	first := askFor(t, b, "a", 2, 0)
	check(t, first.err)
	wantQuota(t, askFor(t, b, "a", 2, 0), "account a may have 3 cores at once and has 2, 2 more are asked for", "at most 1", "SUBLET_ACCOUNT")
	check(t, askFor(t, b, "b", 4, 0).err)
	wantQuota(t, askFor(t, b, "b", 1, 0), "account b may have 4", "wait until leases")
	waits := askFor(t, b, "a", 3, time.Minute)
	never := askFor(t, b, "a", 4, time.Minute)
	wantQuota(t, never, "may have 3", "4 more")
	select {
	case <-waits.done:
		t.Fatalf("it does not wait: %v", waits.err)
	case <-never.done:
	}
	check(t, askFor(t, b, "c", 1, 0).err) // who waits for the quota of another keeps nothing
	check(t, b.release(first.lease.ID, noon))
	select {
	case <-waits.done:
		check(t, waits.err)
	default:
		t.Errorf("it waits still: %v", waits.err)
	}
}

// An account that has used what it may use gets no new leases, and keeps those that it has.
func TestQuotaOfUse(t *testing.T) {
	use := func(account string, seconds uint64, at time.Time) *book {
		b := testBook(t)
		register(t, b, noon, registration("n", "i", 0, 1, 2, 3))
		for beat, when := range []time.Time{noon, at} { // some of it before, some later
			used := computed(fmt.Sprint("l", beat), account, seconds, when)
			used.Allocated = api.Product(1e9, seconds*1e9)
			report(t, b, "n", "i", uint64(beat+1), when, used)
		}
		return b
	}
	later := noon.Add(30 * time.Minute)
	for _, c := range []struct {
		name, quotas, prices string
		seconds              uint64
		want                 []string // nil: it is granted
	}{
		{"more than it may", `{"accounts": {"a": {"gb_seconds": 12}}}`, "", 10, []string{"account a has used 20 GB·seconds, and may use 12", "--quotas", "its leases go on"}},
		{"as much", `{"accounts": {"a": {"gb_seconds": "20"}}}`, "", 10, []string{"has used 20 GB·seconds"}},
		{"less", `{"accounts": {"a": {"gb_seconds": 20.000000001}}}`, "", 10, nil},
		{"since", `{"accounts": {"a": {"gb_seconds": 12, "since": "2026-01-01T12:10:00Z"}}}`, "", 10, nil},
		{"more since", `{"default": {"gb_seconds": 9, "since": "2026-01-01T12:10:00Z"}}`, "", 10, []string{"has used 10 GB·seconds since 2026-01-01T12:10:00Z"}},
		{"cost", `{"accounts": {"a": {"cost": "4.99"}}}`, `{"currency": "EUR", "computing_second": 0.25}`, 10, []string{"has used 5 EUR, and may use 4.99"}},
		{"less cost", `{"accounts": {"a": {"cost": "5.01"}}}`, `{"computing_second": 0.25}`, 10, nil},
	} {
		b := use("a", c.seconds, later)
		check(t, quotad(t, b, c.quotas, c.prices))
		w := askFor(t, b, "a", 1, time.Minute)
		if c.want == nil {
			if w.err != nil {
				t.Errorf("%s: %v", c.name, w.err)
			}
			continue
		}
		wantQuota(t, w, c.want...)
		select {
		case <-w.done: // time does not heal it
		default:
			t.Errorf("%s: it waits", c.name)
		}
	}
	for quotas, want := range map[string]string{
		`{"accounts": {"a": {"cost": 1}}}`:                                     "there are no prices",
		`{"default": {"gb_seconds": 1, "since": "2026-01-01T14:00:00+00:00"}}`: "begin in the past",
	} {
		if err := quotad(t, use("a", 1, later), quotas, ""); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", quotas, err)
		}
	}
}

// Over HTTP it is a code of its own.
func TestQuotaOverHTTP(t *testing.T) {
	recorded := httptest.NewRecorder()
	writeError(recorded, &overQuota{text: "too much"})
	text, err := io.ReadAll(recorded.Body)
	check(t, err)
	if recorded.Code != http.StatusForbidden || string(text) != `{"code":"quota","text":"too much"}`+"\n" {
		t.Errorf("%d %s", recorded.Code, text)
	}
}

// Names of accounts are checked where they come in, and there are not more than the ledger can hold.
func TestAccountsOfLeases(t *testing.T) {
	b := testBook(t)
	register(t, b, noon, registration("n", "i", 0, 1, 2, 3))
	if lease := askFor(t, b, "", 1, 0).lease; lease.Account != api.DefaultAccount {
		t.Errorf("nobody's lease is %+v", lease)
	}
	if _, err := b.ask(api.GrantRequest{Executors: 1, UID: uid, Account: "a b"}, noon); !errors.Is(err, api.ErrInvalid) {
		t.Errorf("account a b: %v", err)
	}
	var used []api.Used
	for n := range maxAccounts {
		used = append(used, computed(fmt.Sprint("l", n), fmt.Sprint("a", n), 1, noon))
	}
	report(t, b, "n", "i", 1, noon, used...)
	check(t, askFor(t, b, "a1", 1, 0).err)
	if _, err := b.ask(api.GrantRequest{Executors: 1, UID: uid, Account: "new"}, noon); !errors.Is(err, api.ErrInvalid) || !strings.Contains(err.Error(), "4096") {
		t.Errorf("one account too many: %v", err)
	}
	// A report with another name than a lease can have had, of before there were accounts.
	b.log = slog.New(slog.DiscardHandler)
	report(t, b, "n", "i", 2, noon, computed("old", "", 1, noon))
	if booked(b, api.DefaultAccount) != 1 {
		t.Errorf("%+v", b.state.Billing.Parts["old@n"])
	}
}
