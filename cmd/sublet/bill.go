package main

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math/big"
	"time"

	"github.com/spf13/pflag"

	"github.com/sublet-hpc/sublet/cmd/internal/output"
	"github.com/sublet-hpc/sublet/cmd/sublet-invoke/options"
	"github.com/sublet-hpc/sublet/config"
	"github.com/sublet-hpc/sublet/resources/api"
)

func billCommand() *command {
	return &command{
		name: "bill", summary: "show what accounts have used, and what it costs",
		details: `
For each account: GB·SECONDS of memory that its leases had to themselves (a GB is 10^9 bytes),
CPU seconds COMPUTING, which is all CPU time of its executors without SPINNING, and the COST, if the
resource manager has prices (--prices). Leases that last are counted as far as their nodes have
reported, a second or so ago.

--since counts what has been entered since then: a lease when it ends, and one that lasts for hours also
every hour. It is a time ago (30m, 2h, 48:00:00), a day of UTC (2026-11-01), or a time
(2026-11-01T08:00:00+01:00).

The table is rounded. --output json and csv have exact decimals. json prints one object: since, until,
currency, and accounts, an array of account, gb_seconds, computing_seconds, spinning_seconds and cost;
amounts are strings. csv has the same columns, and currency. quiet prints the names of accounts.

An account that has never used anything is an error with exit status 4.`,
		examples: []string{
			"sublet bill",
			"sublet bill --account astro --since 2026-11-01",
			"sublet bill --since 24h --output csv > yesterday.csv",
			"sublet bill --output json | jq -r '.accounts[] | .account + \" \" + .cost'",
		},
		setUp: func(flags *pflag.FlagSet) runFunc {
			dir, format := directoryFlag(flags), billFormat(outputTable)
			flags.VarP(&format, "output", "o", "how to print: table, json, csv or quiet")
			account := flags.String("account", "", "only this `ACCOUNT`")
			since := flags.String("since", "", "only since a `TIME`: a duration ago, a day or a time")
			return func(args []string, stdout, _ io.Writer) error {
				if err := noArguments("bill", args); err != nil {
					return err
				}
				if flags.Changed("account") {
					if err := api.CheckAccount(*account); err != nil {
						return usagef("bill: --account: %v", err)
					}
				}
				from, err := parseSince(*since, time.Now())
				if err != nil {
					return err
				}
				return withClient(*dir, func(ctx context.Context, client *api.Client) error {
					bill, err := client.Bill(ctx, *account, from)
					if err != nil {
						return err
					}
					return writeBill(stdout, format, bill)
				})
			}
		},
	}
}

// billFormat is one of outputFormat, or outputCSV.
type billFormat string

const outputCSV billFormat = "csv"

func (f *billFormat) String() string { return string(*f) }

// Type implements pflag.Value.
func (f *billFormat) Type() string { return "FORMAT" }

// Set implements pflag.Value.
func (f *billFormat) Set(value string) error {
	switch value {
	case string(outputTable), string(outputJSON), string(outputCSV), string(outputQuiet):
		*f = billFormat(value)
		return nil
	}
	return errors.New("it is table, json, csv or quiet")
}

// parseSince is the time that --since means; zero if it is empty.
func parseSince(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if at, ok := config.ParseDate(text); ok {
		return at, nil
	}
	var ago options.Duration
	if err := ago.Set(text); err != nil || ago < 0 {
		return time.Time{}, usagef("bill: --since %q: it is a duration such as 2h, a day such as 2026-11-01, or a time such as 2026-11-01T08:00:00Z", text)
	}
	return now.Add(-time.Duration(ago)), nil
}

func writeBill(w io.Writer, format billFormat, bill api.Bill) error {
	switch format {
	case billFormat(outputJSON):
		return output.WriteJSON(w, bill)
	case outputCSV:
		return writeBillCSV(w, bill)
	}
	currency := ""
	if bill.Currency != "" {
		currency = " (" + bill.Currency + ")"
	}
	return list[api.AccountBill]{
		name:   func(a api.AccountBill) string { return a.Account },
		header: "ACCOUNT\tGB·SECONDS\tCOMPUTING\tSPINNING\tCOST" + currency,
		row: func(a api.AccountBill) []string {
			return []string{a.Account, rounded(a.GBSeconds, 3), rounded(a.ComputingSeconds, 3), rounded(a.SpinningSeconds, 3), rounded(a.Cost, 6)}
		},
	}.write(w, outputFormat(format), bill.Accounts)
}

// rounded is a decimal with so many places, or a dash if there is none.
func rounded(decimal string, places int) string {
	value, ok := new(big.Rat).SetString(decimal)
	if !ok {
		return "-"
	}
	return value.FloatString(places)
}

func writeBillCSV(w io.Writer, bill api.Bill) error {
	table := csv.NewWriter(w)
	rows := [][]string{{"account", "gb_seconds", "computing_seconds", "spinning_seconds", "cost", "currency"}}
	for _, a := range bill.Accounts {
		rows = append(rows, []string{a.Account, a.GBSeconds, a.ComputingSeconds, a.SpinningSeconds, a.Cost, bill.Currency})
	}
	if err := table.WriteAll(rows); err != nil {
		return fmt.Errorf("writing the bill: %w", err)
	}
	return nil
}
