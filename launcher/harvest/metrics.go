package harvest

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sublet-hpc/sublet/internal/metrics"
)

// Metrics answers with a harvester's metrics: what its state file has, and how often it has called Slurm's commands.
func Metrics(directory string, cluster Cluster) http.Handler {
	registry := metrics.New()
	registry.MustRegister(collector{directory, cluster})
	return metrics.Handler(registry)
}

// collector looks when metrics are collected.
type collector struct {
	directory string
	cluster   Cluster
}

var (
	callsDesc    = prometheus.NewDesc("sublet_harvest_slurm_calls_total", "Calls of Slurm's commands, by how they ended.", []string{"command", "result"}, nil)
	skippedDesc  = prometheus.NewDesc("sublet_harvest_slurm_calls_skipped_total", "Calls that did not start the command, because it had failed a short time ago.", []string{"command"}, nil)
	timeDesc     = prometheus.NewDesc("sublet_harvest_slurm_call_seconds_total", "How long calls of Slurm's commands took, all together.", []string{"command"}, nil)
	nodesDesc    = prometheus.NewDesc("sublet_harvest_nodes", "Nodes with a job of the harvester, by how far it has come.", []string{"state"}, nil)
	maxNodesDesc = prometheus.NewDesc("sublet_harvest_max_nodes", "How many nodes it uses at most.", nil, nil)
	usedDesc     = prometheus.NewDesc("sublet_harvest_node_seconds_total", "For how long nodes were used, all together.", nil, nil)
	failuresDesc = prometheus.NewDesc("sublet_harvest_failures", "Jobs or submissions that have failed in a row.", nil, nil)
	lookedDesc   = prometheus.NewDesc("sublet_harvest_last_look_timestamp_seconds", "When Slurm has last answered; 0: it has not.", nil, nil)
)

// commands are those that a harvester calls.
var commands = []string{"sinfo", "squeue", "sbatch", "scancel"}

// Describe implements prometheus.Collector.
func (c collector) Describe(descriptions chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{callsDesc, skippedDesc, timeDesc, nodesDesc, maxNodesDesc, usedDesc, failuresDesc, lookedDesc} {
		descriptions <- d
	}
}

// Collect implements prometheus.Collector.
func (c collector) Collect(found chan<- prometheus.Metric) {
	counters := c.cluster.Counters()
	for _, command := range commands {
		calls := counters[command]
		for result, count := range map[string]uint64{
			"succeeded": calls.Calls - calls.Failures,
			"timeout":   calls.Timeouts,
			"refused":   calls.Refusals,
			"failed":    calls.Failures - calls.Timeouts - calls.Refusals,
		} {
			found <- prometheus.MustNewConstMetric(callsDesc, prometheus.CounterValue, float64(count), command, result)
		}
		found <- prometheus.MustNewConstMetric(skippedDesc, prometheus.CounterValue, float64(calls.Skipped), command)
		found <- prometheus.MustNewConstMetric(timeDesc, prometheus.CounterValue, calls.Time.Seconds(), command)
	}
	now := time.Now()
	file, err := Read(c.directory)
	if err != nil { // somebody has removed it; it comes back with the next look
		return
	}
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		found <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	running, pending, leaving := file.State.Counts()
	gauge(nodesDesc, float64(running), "harvested")
	gauge(nodesDesc, float64(pending), "asked-for")
	gauge(nodesDesc, float64(leaving), "leaving")
	gauge(maxNodesDesc, float64(file.Policy.MaxNodes))
	gauge(failuresDesc, float64(file.State.Failures.Count))
	looked := 0.0
	if !file.State.Looked.IsZero() {
		looked = float64(file.State.Looked.UnixMilli()) / 1000
	}
	gauge(lookedDesc, looked)
	found <- prometheus.MustNewConstMetric(usedDesc, prometheus.CounterValue, file.nodeTime(now).Seconds())
}
