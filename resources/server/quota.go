package server

import (
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/sublet-hpc/sublet/config"
	"github.com/sublet-hpc/sublet/resources/api"
)

// quotas bound what accounts may have and use. New leases beyond are refused; those that there are go on.
type quotas struct {
	config.Quotas
	prices *config.Prices // nil: nothing costs anything
	// before is what accounts had used before their quota's time began.
	before map[string]api.Usage
}

// newQuotas finds out what accounts had used before their quotas began.
func newQuotas(of config.Quotas, b *biller, at time.Time) (*quotas, error) {
	q := &quotas{Quotas: of, prices: b.prices, before: map[string]api.Usage{}}
	named := map[string]*config.Quota{"of all others (default)": of.Default}
	for account, quota := range of.Accounts {
		named["of account "+account] = quota
	}
	for whose, quota := range named {
		if quota == nil {
			continue
		}
		if quota.Since.After(at) {
			return nil, fmt.Errorf("resource manager: the quota %s counts since %v, and that is to come; it must begin in the past", whose, quota.Since.Format(time.RFC3339))
		}
		if quota.Cost != nil && b.prices == nil {
			return nil, fmt.Errorf("resource manager: the quota %s bounds the cost, and there are no prices; name them with --prices", whose)
		}
	}
	all := b.book.billed(at)
	since := map[time.Time]map[string]api.Usage{}
	for account, total := range all.accounts {
		quota := of.Of(account)
		if quota == nil || quota.Since.IsZero() {
			continue
		}
		if since[quota.Since] == nil {
			sums, err := b.since(quota.Since, all)
			if err != nil {
				return nil, fmt.Errorf("resource manager: what accounts have used since %v: %w", quota.Since, err)
			}
			since[quota.Since] = sums
		}
		q.before[account] = total.Minus(since[quota.Since][account])
	}
	return q, nil
}

// overQuota refuses a lease because of its account.
type overQuota struct {
	text string
	// heals: it may be granted when other leases of the account have ended.
	heals bool
}

func (e *overQuota) Error() string { return e.text }

// checkQuota refuses what an account may not have. mu is held.
func (b *book) checkQuota(account string, cores int) error {
	if b.quotas == nil {
		return nil
	}
	quota := b.quotas.Of(account)
	if quota == nil {
		return nil
	}
	if err := b.checkUse(account, quota); err != nil {
		return err
	}
	if quota.Cores == 0 {
		return nil
	}
	has := 0
	for _, lease := range b.state.Leases {
		if lease.Account != account {
			continue
		}
		for i := range lease.Executors {
			if !lease.Executors[i].Lost {
				has += lease.Executors[i].CoreCount()
			}
		}
	}
	if has+cores <= quota.Cores {
		return nil
	}
	noun := "cores"
	if quota.Cores == 1 {
		noun = "core"
	}
	advice := "wait until leases of it end (sublet lease list)"
	if left := quota.Cores - has; left > 0 {
		advice = fmt.Sprintf("ask for at most %d of them, or ", left) + advice
	}
	return &overQuota{heals: cores <= quota.Cores, text: fmt.Sprintf("account %s may have %d %s at once and has %d, %d more are asked for; %s, or name another account (%s)",
		account, quota.Cores, noun, has, cores, advice, api.AccountVariable)}
}

// checkUse refuses an account that has used what it may use. mu is held.
func (b *book) checkUse(account string, quota *config.Quota) error {
	used := b.state.Billing.Accounts[account].Minus(b.quotas.before[account])
	over := func(of string, used, may string) error {
		since := ""
		if !quota.Since.IsZero() {
			since = " since " + quota.Since.Format(time.RFC3339)
		}
		return &overQuota{text: fmt.Sprintf("account %s has used %s%s%s, and may use %s; its leases go on, but it gets no new ones: name another account (%s), or have its quota changed (sublet resource-manager --quotas)",
			account, used, of, since, may, api.AccountVariable)}
	}
	if most := quota.GBSeconds; most != nil {
		// The quota is in 10^-9 GB·seconds, and use in 10^-18.
		bound := new(big.Int).Mul(most.Billionths(), big.NewInt(1_000_000_000))
		if used.Allocated.Big().Cmp(bound) >= 0 {
			return over(" GB·seconds", used.Allocated.Decimal(gbSecondPlaces), api.Decimal(most.Billionths(), costPlaces))
		}
	}
	if most := quota.Cost; most != nil {
		cost := costOf(b.quotas.prices, account, used)
		if cost.Cmp(most.Billionths()) >= 0 {
			of := ""
			if currency := b.quotas.prices.Currency; currency != "" {
				of = " " + currency
			}
			return over(of, api.Decimal(cost, costPlaces), api.Decimal(most.Billionths(), costPlaces))
		}
	}
	return nil
}

// checkAccount refuses another account where there are too many.
func (b *book) checkAccount(account string) error {
	if _, known := b.state.Billing.Accounts[account]; known || len(b.state.Billing.Accounts) < maxAccounts {
		return nil
	}
	return api.Because(api.ErrInvalid, "account %q would be one more than the %d that a resource manager keeps; name one that has been used (sublet bill)", account, maxAccounts)
}

// maxAccounts bounds what clients can make the ledger hold.
const maxAccounts = 4096

// quotaHeals tells whether time can heal a refusal for want of a quota.
func quotaHeals(err error) bool {
	var over *overQuota
	return errors.As(err, &over) && over.heals
}
