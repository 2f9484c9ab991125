package server

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sublet-hpc/sublet/internal/metrics"
	"github.com/sublet-hpc/sublet/resources/api"
	"github.com/sublet-hpc/sublet/resources/ledger"
)

// counts are what the book counts as it goes.
type counts struct {
	waited     prometheus.Histogram
	ended      *prometheus.CounterVec
	writtenOff prometheus.Counter
}

func newCounts() *counts {
	c := &counts{
		waited: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "sublet_cluster_lease_wait_seconds", Help: "How long leases that were granted had been waited for.",
			Buckets: []float64{.001, .01, .1, 1, 10, 60, 600, 3600},
		}),
		ended: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sublet_cluster_leases_ended_total", Help: "Leases that have ended, by why.",
		}, []string{"why"}),
		writtenOff: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sublet_cluster_nodes_written_off_total", Help: "How often a node was written off because its executor manager was silent.",
		}),
	}
	for _, command := range []ledger.Command{ledger.Release{}, ledger.ReleasePart{}, ledger.Expire{}, ledger.RemoveNode{}, ledger.ForgetNode{}} {
		c.ended.WithLabelValues(endingOf(command))
	}
	return c
}

// endingOf is a word for why a command ends leases.
func endingOf(command ledger.Command) string {
	switch command.(type) {
	case ledger.Release:
		return "released"
	case ledger.ReleasePart:
		return "ended"
	case ledger.Expire:
		return "expired"
	case ledger.RemoveNode:
		return "node-lost"
	case ledger.ForgetNode:
		return "node-removed"
	}
	return "other"
}

// serverMetrics are the resource manager's.
type serverMetrics struct {
	http.Handler
	strangers prometheus.Counter
	requests  *prometheus.HistogramVec
}

func newServerMetrics(b *book) *serverMetrics {
	m := &serverMetrics{
		strangers: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sublet_cluster_unauthorized_requests_total", Help: "Requests without the token, which were refused.",
		}),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "sublet_cluster_http_request_seconds", Help: "How long requests took, with the time that they asked to wait.",
			Buckets: []float64{.0005, .005, .05, .5, 5},
		}, []string{"method", "route", "status"}),
	}
	registry := metrics.New()
	registry.MustRegister(m.strangers, m.requests, b.counts.waited, b.counts.ended, b.counts.writtenOff, (*bookCollector)(b))
	m.Handler = metrics.Handler(registry)
	return m
}

// counted is a handler whose requests are counted.
func (m *serverMetrics) counted(method, route string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begun, seen := time.Now(), &statusWriter{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(seen, r)
		m.requests.WithLabelValues(method, route, strconv.Itoa(seen.status)).Observe(time.Since(begun).Seconds())
	})
}

// statusWriter notes what was answered.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController find the connection.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// bookCollector looks into the book when metrics are collected.
type bookCollector book

var (
	nodesDesc     = prometheus.NewDesc("sublet_cluster_nodes", "Nodes by their states.", []string{"state"}, nil)
	coresDesc     = prometheus.NewDesc("sublet_cluster_cores", "Cores of registered nodes by what they are used for, each once.", []string{"state"}, nil)
	memoryDesc    = prometheus.NewDesc("sublet_cluster_memory_bytes", "Memory of registered nodes by whether it is lent.", []string{"state"}, nil)
	leasesDesc    = prometheus.NewDesc("sublet_cluster_leases", "Leases that last.", nil, nil)
	executorsDesc = prometheus.NewDesc("sublet_cluster_executors", "Executors of leases, without those that are lost.", nil, nil)
	waitingDesc   = prometheus.NewDesc("sublet_cluster_waiting_requests", "Requests for leases that wait.", nil, nil)
	longestDesc   = prometheus.NewDesc("sublet_cluster_longest_wait_seconds", "How long the request that waits longest has waited; 0 if none does.", nil, nil)
)

// Describe implements prometheus.Collector.
func (*bookCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, desc := range append([]*prometheus.Desc{nodesDesc, coresDesc, memoryDesc, leasesDesc, executorsDesc, waitingDesc, longestDesc}, accountDescs...) {
		ch <- desc
	}
}

// Collect implements prometheus.Collector.
func (c *bookCollector) Collect(ch chan<- prometheus.Metric) {
	status := (*book)(c).status(now())
	gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	for _, state := range api.NodeStates {
		gauge(nodesDesc, float64(status.Nodes[state]), string(state))
	}
	gauge(coresDesc, float64(status.Cores.Lent), "lent")
	gauge(coresDesc, float64(status.Cores.Free), "free")
	gauge(coresDesc, float64(status.Cores.Occupied), "occupied")
	gauge(coresDesc, float64(status.Cores.Draining), "draining")
	gauge(memoryDesc, float64(status.Memory.Lent), "lent")
	gauge(memoryDesc, float64(status.Memory.Free), "free")
	gauge(leasesDesc, float64(status.Leases))
	gauge(executorsDesc, float64(status.Executors))
	gauge(waitingDesc, float64(len(status.Waiting)))
	longest := 0.0
	if len(status.Waiting) > 0 {
		longest = status.Now.Sub(status.Waiting[0].Since).Seconds()
	}
	gauge(longestDesc, longest)
	collectAccounts((*book)(c).accounts(), ch)
}
