package config

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestPrices(t *testing.T) {
	p, err := ParsePrices("p", []byte(`{"currency": "EUR", "gb_second": 0.5, "computing_second": "12", "accounts": {"a": {"computing_second": 0, "spinning_second": "0.000000001"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	for account, want := range map[string][3]int64{"a": {500_000_000, 0, 1}, "b": {500_000_000, 12_000_000_000, 0}} {
		gb, computing, spinning := p.Of(account)
		if got := [3]int64{gb.Billionths().Int64(), computing.Billionths().Int64(), spinning.Billionths().Int64()}; got != want {
			t.Errorf("%s: %v, want %v", account, got, want)
		}
	}
}

func TestQuotas(t *testing.T) {
	q, err := ParseQuotas("q", []byte(`{"accounts": {"a": {"cores": 8, "since": "2026-11-01"}, "b": {"cost": 1.5, "since": "2026-11-01T08:00:00+01:00"}}, "default": {"gb_seconds": 7}}`))
	if err != nil {
		t.Fatal(err)
	}
	if a := q.Of("a"); a.Cores != 8 || a.Cost != nil || !a.Since.Equal(time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("%+v", a)
	}
	if b := q.Of("b"); b.Cores != 0 || b.Cost.Billionths().Int64() != 1_500_000_000 || !b.Since.Equal(time.Date(2026, 11, 1, 7, 0, 0, 0, time.UTC)) {
		t.Errorf("%+v", b)
	}
	if c := q.Of("c"); c.GBSeconds.Billionths().Int64() != 7_000_000_000 || !c.Since.IsZero() {
		t.Errorf("%+v", c)
	}
	if none := (&Quotas{}).Of("a"); none != nil {
		t.Errorf("%+v", none)
	}
}

// What can not be meant is refused with its line, its key and what is allowed.
func TestBillingMistakes(t *testing.T) {
	prices := func(text string) error { _, err := ParsePrices("f", []byte(text)); return err }
	quotas := func(text string) error { _, err := ParseQuotas("f", []byte(text)); return err }
	for _, c := range []struct {
		parse      func(string) error
		text, want string
	}{
		{prices, "{\n\"gb_seconds\": 1}", `f:2: the file has no key "gb_seconds"; there are currency, gb_second, computing_second, spinning_second, accounts`},
		{prices, "{\"gb_second\":\n-1}", "f:2: gb_second is -1; it is a decimal number that is not negative"},
		{prices, `{"gb_second": 1e-9}`, "gb_second is 1e-9; it is a decimal number"},
		{prices, `{"gb_second": 0.0000000001}`, "gb_second is 0.0000000001; it is"},
		{prices, `{"gb_second": "1,5"}`, `gb_second is "1,5"; it is`},
		{prices, `{"gb_second": "01"}`, `gb_second is "01"; it is`},
		{prices, `{"gb_second": null}`, "gb_second is null; it is"},
		{prices, `{"gb_second": 1, "gb_second": 2}`, "gb_second stands here for the second time"},
		{prices, `{"accounts": [1]}`, "accounts is an array; it is an object of accounts"},
		{prices, `{"accounts": {"": {}}}`, "accounts: an account has a name of 1 to 64 bytes"},
		{prices, `{"accounts": {"a": {}, "a": {}}}`, "accounts.a stands here for the second time"},
		{prices, `{"accounts": {"a": {"currency": "EUR"}}}`, `accounts.a has no key "currency"; there are gb_second, computing_second, spinning_second`},
		{prices, `{"accounts": {"a": 5}}`, "accounts.a is 5; it is an object"},
		{prices, "", "the file is empty"},
		{quotas, `{"default": {"cores": 0}}`, "default.cores is 0; it is a whole number from 1 on"},
		{quotas, `{"default": {"since": "soon"}}`, `default.since is "soon"; it is a day of UTC`},
		{quotas, `{"account": {}}`, `the file has no key "account"; there are accounts, default`},
	} {
		if err := c.parse(c.text); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.text, err, c.want)
		}
	}
}

// An amount that is read is the number that was written, exactly.
func FuzzPrices(f *testing.F) {
	f.Add([]byte(`{"currency": "EUR", "gb_second": 0.5, "computing_second": "12.000000001", "accounts": {"a": {"spinning_second": 3}}}`))
	f.Add([]byte(`{"accounts": {"a": {}, "b": {"gb_second": "1"}}}`))
	f.Fuzz(func(t *testing.T, content []byte) {
		p, err := ParsePrices("f", content)
		if err != nil {
			return
		}
		if !json.Valid(content) {
			t.Error("it is no JSON, and was read")
		}
		for account := range p.Accounts {
			for _, amount := range amountsOf(p.Of(account)) {
				if amount.Billionths().Sign() < 0 || len(amount.Billionths().String()) > amountDigits+amountPlaces {
					t.Errorf("a price of %v", amount.Billionths())
				}
			}
		}
	})
}

func amountsOf(amounts ...Amount) []Amount { return amounts }

func FuzzQuotas(f *testing.F) {
	f.Add([]byte(`{"accounts": {"a": {"cores": 8, "since": "2026-11-01"}}, "default": {"gb_seconds": 7, "cost": "1.5"}}`))
	f.Fuzz(func(t *testing.T, content []byte) {
		q, err := ParseQuotas("f", content)
		if err != nil {
			return
		}
		for account := range q.Accounts {
			if quota := q.Of(account); quota == nil || quota.Cores < 0 {
				t.Errorf("%q: %+v", account, quota)
			}
		}
	})
}
