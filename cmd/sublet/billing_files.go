package main

import (
	"github.com/spf13/pflag"

	"github.com/sublet-hpc/sublet/config"
	"github.com/sublet-hpc/sublet/resources/server"
)

// billingFiles are the flags that name what use costs, and what accounts may use.
type billingFiles struct{ prices, quotas string }

func (f *billingFiles) declare(flags *pflag.FlagSet) {
	flags.StringVar(&f.prices, "prices", "", "the `FILE` that says what use costs: prices.json")
	flags.StringVar(&f.quotas, "quotas", "", "the `FILE` that says what accounts may have and use: quotas.json")
}

// read reads the files that are named.
func (f *billingFiles) read(options *server.Options) error {
	if f.prices != "" {
		prices, err := config.Read(f.prices, config.ParsePrices)
		if err != nil {
			return err
		}
		options.Prices = &prices
	}
	if f.quotas != "" {
		quotas, err := config.Read(f.quotas, config.ParseQuotas)
		if err != nil {
			return err
		}
		options.Quotas = &quotas
	}
	return nil
}
