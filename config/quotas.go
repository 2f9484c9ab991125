package config

import "time"

// Quotas is a quotas.json: what accounts may have and use.
type Quotas struct {
	// Accounts by name. Default is for all others; nil: they may have everything.
	Accounts map[string]*Quota
	Default  *Quota
}

// Quota bounds one account. What is nil, or 0 cores, is not bounded.
type Quota struct {
	// Cores is how many cores its leases have at once: of an executor of several cores, all.
	Cores int
	// GBSeconds and Cost are what it may use from Since on.
	GBSeconds, Cost *Amount
	// Since is zero where all counts that was ever used.
	Since time.Time
}

func (q *Quota) schema() object {
	return object{
		{name: "cores", value: count(&q.Cores, 1), means: "how many cores its leases may have at once. Default: any number"},
		{name: "gb_seconds", value: amount{&q.GBSeconds}, means: "how many GB·seconds it may use. Default: any number"},
		{name: "cost", value: amount{&q.Cost}, means: "how much it may use by the prices. Default: any amount"},
		{name: "since", value: date{&q.Since}, means: "from when on use counts. Default: from the beginning"},
	}
}

func (q *Quotas) schema() object {
	return object{
		{name: "accounts", means: "the quotas of accounts, by their names", value: table{
			of: "accounts", check: accountName,
			next: func(name string) value {
				if q.Accounts == nil {
					q.Accounts = map[string]*Quota{}
				}
				q.Accounts[name] = &Quota{}
				return q.Accounts[name].schema()
			},
		}},
		{name: "default", means: "the quota of each account that has none of its own. Default: none", value: lazy{func() value {
			q.Default = &Quota{}
			return q.Default.schema()
		}}},
	}
}

// lazy is a value that is made when it is there.
type lazy struct{ make func() value }

func (l lazy) allowed() string                   { return l.make().allowed() }
func (l lazy) read(r *reader, path string) error { return l.make().read(r, path) }

// date is a day, or a time as in RFC 3339.
type date struct{ into *time.Time }

func (d date) allowed() string {
	return `a day of UTC such as "2026-11-01", or a time such as "2026-11-01T08:00:00+01:00"`
}

func (d date) read(r *reader, path string) error {
	token, err := r.token()
	if err != nil {
		return err
	}
	text, _ := token.(string)
	at, ok := ParseDate(text)
	if !ok {
		return r.wrong(path, token, d.allowed())
	}
	*d.into = at
	return nil
}

// ParseDate reads a day of UTC, or a time as in RFC 3339.
func ParseDate(text string) (at time.Time, ok bool) {
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if at, err := time.Parse(layout, text); err == nil {
			return at.UTC(), true
		}
	}
	return time.Time{}, false
}

// ParseQuotas reads a quotas.json.
func ParseQuotas(file string, content []byte) (Quotas, error) {
	q := Quotas{}
	if err := parse(file, content, q.schema()); err != nil {
		return Quotas{}, err
	}
	return q, nil
}

// Of is an account's quota; nil: there is none.
func (q *Quotas) Of(account string) *Quota {
	if own := q.Accounts[account]; own != nil {
		return own
	}
	return q.Default
}
