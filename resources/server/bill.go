package server

import (
	"context"
	"maps"
	"math/big"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/sublet-hpc/sublet/config"
	"github.com/sublet-hpc/sublet/resources/api"
	"github.com/sublet-hpc/sublet/resources/ledger"
	"github.com/sublet-hpc/sublet/resources/replica"
)

// biller writes the ledger's lines into the file, and makes bills.
type biller struct {
	book   *book
	file   *billFile
	prices *config.Prices // nil: there are none

	stop    chan struct{}
	writing sync.WaitGroup
}

// newBiller opens the file; begin has it written.
func newBiller(b *book, path string) (*biller, error) {
	b.mu.Lock()
	entered := b.state.Billing.Last
	b.mu.Unlock()
	file, err := openBillFile(path, entered, b.log)
	return &biller{book: b, file: file, stop: make(chan struct{})}, err
}

// begin has lines written as they come, until close.
func (b *biller) begin() { b.writing.Go(b.run) }

// run writes lines until close. A disk that is slow keeps nobody else waiting.
func (b *biller) run() {
	ticker := time.NewTicker(tickInterval)
	defer ticker.Stop()
	for failed := false; ; {
		err := b.write()
		switch {
		case err != nil && !failed:
			b.book.log.Error("the bill can not be written; the ledger keeps its lines until it can", "file", b.file.path, "error", err)
		case err == nil && failed:
			b.book.log.Info("the bill is up to date again", "file", b.file.path)
		}
		failed = err != nil
		select {
		case <-ticker.C:
		case <-b.stop:
			return
		}
	}
}

// write appends the lines that are durable and not in the file yet, and then has the ledger drop them.
func (b *biller) write() error {
	lines, mark := b.book.unwritten()
	if len(lines) == 0 {
		return nil
	}
	if err := mark.Wait(context.Background()); err != nil {
		return err
	}
	if err := b.file.append(lines); err != nil {
		return err
	}
	return b.book.written(lines[len(lines)-1].Line)
}

// close writes what there is, and closes the file.
func (b *biller) close() error {
	close(b.stop)
	b.writing.Wait()
	b.book.lock(now())
	b.book.bookAll(now())
	b.book.mu.Unlock()
	err := b.write()
	if b.book.ledger.Err() != nil {
		err = nil // said already; the next start writes them
	}
	if closeErr := b.file.close(); err == nil {
		err = closeErr
	}
	return err
}

// unwritten are the lines that may not be in the file, and when they are durable.
func (b *book) unwritten() ([]api.BillLine, replica.Mark) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.state.Billing.Lines), b.ledger.Mark()
}

func (b *book) written(line uint64) error {
	b.lock(now())
	defer b.mu.Unlock()
	_, err := b.apply(ledger.Written{Line: line})
	return err
}

// billed is what the ledger says of the bill at a time.
type billed struct {
	accounts map[string]api.Usage // ever
	lines    []api.BillLine       // that may not be in the file
	written  uint64               // the last line that is
	open     map[string]api.Usage // what is in no line yet
}

// billed copies it, with all that managers have reported.
func (b *book) billed(at time.Time) billed {
	b.lock(at)
	defer b.mu.Unlock()
	b.bookAll(at)
	now := b.state.Billing
	copied := billed{accounts: maps.Clone(now.Accounts), lines: slices.Clone(now.Lines), written: now.Written, open: map[string]api.Usage{}}
	for _, part := range now.Parts {
		copied.open[part.Account] = copied.open[part.Account].Plus(part.Usage.Minus(part.Lined))
	}
	return copied
}

// since is what accounts have used since a time: lines that were entered then or later, and what is in none.
func (b *biller) since(at time.Time, all billed) (map[string]api.Usage, error) {
	sums := maps.Clone(all.open)
	add := func(line *api.BillLine) {
		if !line.At.Before(at) {
			sums[line.Account] = sums[line.Account].Plus(line.Usage)
		}
	}
	err := readBill(b.file.path, at, all.written, add)
	for i := range all.lines {
		add(&all.lines[i])
	}
	return sums, err
}

// make makes a bill of one account, or of all.
func (b *biller) make(account string, since, at time.Time) (api.Bill, error) {
	all := b.book.billed(at)
	bill := api.Bill{Since: since, Until: at, Accounts: []api.AccountBill{}}
	if b.prices != nil {
		bill.Currency = b.prices.Currency
	}
	sums := all.accounts
	if !since.IsZero() {
		var err error
		if sums, err = b.since(since, all); err != nil {
			return bill, err
		}
	}
	names := slices.Sorted(maps.Keys(all.accounts))
	if account != "" {
		if _, known := all.accounts[account]; !known {
			return bill, api.Because(api.ErrUnknownAccount, "account %q has used nothing yet; sublet bill shows those that have", account)
		}
		names = []string{account}
	}
	for _, name := range names {
		if account == "" && !since.IsZero() && sums[name].IsZero() {
			continue
		}
		bill.Accounts = append(bill.Accounts, b.of(name, sums[name]))
	}
	return bill, nil
}

// of is what an account has used, and what it costs.
func (b *biller) of(account string, usage api.Usage) api.AccountBill {
	bill := api.AccountBill{
		Account: account, GBSeconds: usage.Allocated.Decimal(gbSecondPlaces),
		ComputingSeconds: usage.Computing.Decimal(secondPlaces), SpinningSeconds: usage.Spinning.Decimal(secondPlaces),
	}
	if b.prices != nil {
		bill.Cost = api.Decimal(costOf(b.prices, account, usage), costPlaces)
	}
	return bill
}

// How many decimal places there are: a byte·nanosecond is 10^-18 GB·seconds, a nanosecond 10^-9 seconds, and
// prices are in 10^-9.
const (
	gbSecondPlaces = 18
	secondPlaces   = 9
	costPlaces     = 9
)

// costOf is what use costs an account, in 10^-9, rounded once, to the nearest.
func costOf(prices *config.Prices, account string, usage api.Usage) *big.Int {
	gbSecond, computing, spinning := prices.Of(account)
	cost := new(big.Int).Mul(usage.Computing.Big(), computing.Billionths())
	cost.Add(cost, new(big.Int).Mul(usage.Spinning.Big(), spinning.Billionths()))
	cost.Mul(cost, big.NewInt(1_000_000_000)) // seconds have 9 places, GB·seconds 18
	cost.Add(cost, new(big.Int).Mul(usage.Allocated.Big(), gbSecond.Billionths()))
	unit := big.NewInt(1_000_000_000_000_000_000)
	cost.Add(cost, new(big.Int).Rsh(unit, 1))
	return cost.Quo(cost, unit)
}

func (s *Server) makeBill(_ http.ResponseWriter, r *http.Request) (any, error) {
	var since time.Time
	if text := r.URL.Query().Get("since"); text != "" {
		var err error
		if since, err = time.Parse(time.RFC3339Nano, text); err != nil {
			return nil, api.Because(api.ErrInvalid, "since is %.60q; it is a time as in RFC 3339, such as 2026-11-01T08:00:00Z", text)
		}
		since = since.UTC()
	}
	return s.bill.make(r.URL.Query().Get("account"), since, now())
}
