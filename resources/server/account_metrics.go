package server

import (
	"maps"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sublet-hpc/sublet/resources/api"
)

// metricAccounts is how many accounts have metrics of their own; the others, by name the last, share one
// that can not be an account's.
const (
	metricAccounts = 100
	otherAccounts  = "(others)"
)

var (
	gbSecondsDesc = prometheus.NewDesc("sublet_cluster_account_gb_seconds_total", "Memory that leases of the account had to themselves times the time, in 10^9 bytes times seconds.", []string{"account"}, nil)
	computingDesc = prometheus.NewDesc("sublet_cluster_account_computing_seconds_total", "CPU time of the account's executors without that of spinning.", []string{"account"}, nil)
	spinningDesc  = prometheus.NewDesc("sublet_cluster_account_spinning_seconds_total", "CPU time for which the account's executors waited for invocations without sleeping.", []string{"account"}, nil)
	accountDescs  = []*prometheus.Desc{gbSecondsDesc, computingDesc, spinningDesc}
)

// accounts is what each has used, as far as it is booked.
func (b *book) accounts() map[string]api.Usage {
	b.mu.Lock()
	defer b.mu.Unlock()
	return maps.Clone(b.state.Billing.Accounts)
}

func collectAccounts(accounts map[string]api.Usage, ch chan<- prometheus.Metric) {
	shown := map[string]api.Usage{}
	for i, name := range slices.Sorted(maps.Keys(accounts)) {
		if i >= metricAccounts {
			shown[otherAccounts] = shown[otherAccounts].Plus(accounts[name])
			continue
		}
		shown[name] = accounts[name]
	}
	for name, used := range shown {
		counter := func(desc *prometheus.Desc, value float64) {
			ch <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, value, name)
		}
		counter(gbSecondsDesc, used.Allocated.Float()/1e18)
		counter(computingDesc, used.Computing.Float()/float64(time.Second))
		counter(spinningDesc, used.Spinning.Float()/float64(time.Second))
	}
}
