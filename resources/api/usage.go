package api

import "time"

// Usage is what somebody has used. It is counted in integers, and only grows.
type Usage struct {
	// Allocated is memory times the time for which a lease had it to itself, in bytes times nanoseconds.
	Allocated Uint128 `json:"allocated"`
	// Computing is the CPU time of executors without that of spinning, in nanoseconds.
	Computing Uint128 `json:"computing"`
	// Spinning is the CPU time for which executors waited for invocations without sleeping, in nanoseconds.
	Spinning Uint128 `json:"spinning"`
}

// each is a usage made of two, count by count.
func (u Usage) each(v Usage, of func(u, v Uint128) Uint128) Usage {
	return Usage{of(u.Allocated, v.Allocated), of(u.Computing, v.Computing), of(u.Spinning, v.Spinning)}
}

// Plus is the sum.
func (u Usage) Plus(v Usage) Usage { return u.each(v, Uint128.Plus) }

// Minus is how much more u has than v; 0 of what it has less of.
func (u Usage) Minus(v Usage) Usage { return u.each(v, Uint128.Minus) }

// IsZero tells whether nothing was used.
func (u Usage) IsZero() bool { return u == Usage{} }

// Used is what a lease has used of one node since its executors were admitted there, as the node's
// manager counts it. A manager reports it until the resource manager has answered the report of its end, so
// that nothing depends on one report, and what comes twice does no harm.
type Used struct {
	Lease   string `json:"lease"`
	User    string `json:"user"`
	Account string `json:"account"`
	// Began is when the node admitted the lease, by its clock.
	Began time.Time `json:"began"`
	// Ended is when nothing of it was left; zero: it lasts.
	Ended time.Time `json:"ended,omitzero"`
	Usage
}

// BillLine is a line of the run directory's bill.jsonl: what a lease has used of a node, all of it or, of
// one that lasts for hours, since its last line.
type BillLine struct {
	// Line counts up from 1, without gaps.
	Line uint64 `json:"line"`
	// At is when it was entered, by the resource manager's clock; never earlier than the line before.
	At      time.Time `json:"at"`
	Account string    `json:"account"`
	User    string    `json:"user"`
	Lease   string    `json:"lease"`
	Node    string    `json:"node"`
	// Began is when the node admitted the lease, by the node's clock.
	Began time.Time `json:"began"`
	// Ended is when nothing of it was left there, by the node's clock; zero: it lasts.
	Ended time.Time `json:"ended,omitzero"`
	// Lost: the node was not heard of any more, and has not said how much was used in the end.
	Lost bool `json:"lost,omitempty"`
	Usage
}

// Bill says what accounts have used, and what it costs.
type Bill struct {
	// Since is from when on; zero: from the beginning of the ledger.
	Since time.Time `json:"since,omitzero"`
	// Until is when it was made.
	Until time.Time `json:"until"`
	// Currency is that of the prices; empty: they name none.
	Currency string `json:"currency,omitempty"`
	// Accounts by name.
	Accounts []AccountBill `json:"accounts"`
}

// AccountBill is one account's part of a bill. Its numbers are exact decimals.
type AccountBill struct {
	Account string `json:"account"`
	// GBSeconds is the memory that was allocated times the time, in 10^9 bytes times seconds.
	GBSeconds string `json:"gb_seconds"`
	// ComputingSeconds is CPU time.
	ComputingSeconds string `json:"computing_seconds"`
	// SpinningSeconds is CPU time.
	SpinningSeconds string `json:"spinning_seconds"`
	// Cost is all of it times its prices, rounded to 10^-9; empty: there are no prices.
	Cost string `json:"cost,omitempty"`
}
