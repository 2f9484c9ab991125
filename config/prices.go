package config

import "errors"

// Prices is a prices.json: what use costs. A price that is nil is not set: 0, or for an account that of all.
type Prices struct {
	Currency string
	Price
	// Accounts have prices of their own.
	Accounts map[string]*Price
}

// Price is what use costs one account.
type Price struct {
	GBSecond, ComputingSecond, SpinningSecond *Amount
}

func (p *Price) keys() object {
	return object{
		{name: "gb_second", value: amount{&p.GBSecond}, means: "the price of 10^9 bytes of memory for a second. Default 0, or of an account that of all"},
		{name: "computing_second", value: amount{&p.ComputingSecond}, means: "the price of a second of CPU time without spinning. The same default"},
		{name: "spinning_second", value: amount{&p.SpinningSecond}, means: "the price of a second of CPU time that executors spun while they waited for invocations. The same default"},
	}
}

// maxAccountName is the most bytes of an account's name.
const maxAccountName = 64

func accountName(name string) error {
	if name == "" || len(name) > maxAccountName {
		return errors.New("an account has a name of 1 to 64 bytes")
	}
	return nil
}

func (p *Prices) schema() object {
	return append(object{
		{name: "currency", value: nameOrNone(&p.Currency), means: "what is written behind amounts. Default: nothing"},
	}, append(p.keys(), key{name: "accounts", means: "prices of single accounts, by their names", value: table{
		of: "accounts", check: accountName,
		next: func(name string) value {
			if p.Accounts == nil {
				p.Accounts = map[string]*Price{}
			}
			p.Accounts[name] = &Price{}
			return p.Accounts[name].keys()
		},
	}})...)
}

// ParsePrices reads a prices.json.
func ParsePrices(file string, content []byte) (Prices, error) {
	p := Prices{}
	if err := parse(file, content, p.schema()); err != nil {
		return Prices{}, err
	}
	return p, nil
}

// Of is what an account pays for a GB·second, a second of computing and a second of spinning.
func (p *Prices) Of(account string) (gbSecond, computingSecond, spinningSecond Amount) {
	own := p.Accounts[account]
	if own == nil {
		own = &Price{}
	}
	return either(own.GBSecond, p.GBSecond), either(own.ComputingSecond, p.ComputingSecond), either(own.SpinningSecond, p.SpinningSecond)
}

// either is the first that is set.
func either(amounts ...*Amount) Amount {
	for _, amount := range amounts {
		if amount != nil {
			return *amount
		}
	}
	return Amount{}
}
