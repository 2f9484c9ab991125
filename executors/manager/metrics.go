package manager

import (
	"fmt"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sublet-hpc/sublet/internal/metrics"
	"github.com/sublet-hpc/sublet/internal/statspage"
	"github.com/sublet-hpc/sublet/resources/api"
)

// metricsHandler answers with the metrics of a manager and of its daemon.
func metricsHandler(m *Manager) http.Handler {
	registry := metrics.New()
	registry.MustRegister((*collector)(m))
	return metrics.Handler(registry)
}

// serveMetrics serves them at an address of their own; at none if that is empty, and then there is no
// listener, which can be closed all the same.
func serveMetrics(m *Manager, address string) (*metrics.Listener, error) {
	if address == "" {
		return nil, nil
	}
	listener, err := metrics.Listen(address, metricsHandler(m), m.log)
	if err != nil {
		return nil, fmt.Errorf("executor manager: %w", err)
	}
	return listener, nil
}

// collector looks at a manager when metrics are collected.
type collector Manager

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("sublet_node_"+name, help, labels, nil)
}

var (
	coresDesc      = desc("cores", "Cores that this executor manager lends, by what they are used for.", "state")
	memoryDesc     = desc("memory_bytes", "Memory that it lends, by whether it is lent.", "state")
	leasesDesc     = desc("leases", "Leases that have executors here.")
	executorsDesc  = desc("executors", "Executors of leases by what they are doing.", "state")
	sparesDesc     = desc("spares", "Executors started for leases that come.", "state")
	drainingDesc   = desc("draining", "1 if the node takes no new leases.")
	registeredDesc = desc("registered", "1 if the resource manager knows this node, as far as this node can tell.")
	reportsDesc    = desc("reports_total", "Reports to the resource manager, by whether they were answered.", "result")
	reportedDesc   = desc("last_report_timestamp_seconds", "When a report was last answered; 0: never.")
	diedDesc       = desc("executors_died_total", "Executors whose process ended of itself, by cause.", "cause")
	replacedDesc   = desc("executors_replaced_total", "Executors whose place another process took.")
	lostDesc       = desc("executors_lost_total", "Executors that could not be replaced.")
	refusedDesc    = desc("tickets_refused_total", "Leases that were refused because their ticket was forged, used or too old, or their client did not prove that it knows the token.")
	callsDesc      = desc("invocations_total", "Invocations that have ended, by the executors' own count.")
	computingDesc  = desc("computing_seconds_total", "Time in functions, by the executors' own count.")
	spinningDesc   = desc("spinning_seconds_total", "Time that executors spun while they waited for invocations, by their own count.")
)

// Describe implements prometheus.Collector.
func (*collector) Describe(ch chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{
		coresDesc, memoryDesc, leasesDesc, executorsDesc, sparesDesc, drainingDesc, registeredDesc, reportsDesc, reportedDesc,
		diedDesc, replacedDesc, lostDesc, refusedDesc, callsDesc, computingDesc, spinningDesc,
	} {
		ch <- desc
	}
}

// sink is where metrics go.
type sink chan<- prometheus.Metric

func (s sink) gauge(desc *prometheus.Desc, value float64, labels ...string) {
	s <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
}

func (s sink) counter(desc *prometheus.Desc, value float64, labels ...string) {
	s <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, value, labels...)
}

func (s sink) flag(desc *prometheus.Desc, value bool) {
	if value {
		s.gauge(desc, 1)
	} else {
		s.gauge(desc, 0)
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	m, s := (*Manager)(c), sink(ch)
	m.capacity.collect(s)
	spares := m.pool.collect(s)
	m.tally.collect(s, spares)
	if m.direct == nil { // else there is nobody to report to, and nothing to be alarmed about
		m.tally.collectReports(s)
	}
}

func (c *capacity) collect(s sink) {
	c.mu.Lock()
	defer c.mu.Unlock()
	node := c.state.Nodes[c.node.Name]
	lent, occupied := 0, 0
	for i := range node.Cores {
		switch core := &node.Cores[i]; {
		case core.Lease != "":
			lent++
		case !core.Free():
			occupied++
		}
	}
	s.gauge(coresDesc, float64(lent), "lent")
	s.gauge(coresDesc, float64(node.Free()[api.Cores]), "free")
	s.gauge(coresDesc, float64(occupied), "occupied")
	s.gauge(memoryDesc, float64(node.Lent), "lent")
	s.gauge(memoryDesc, float64(node.Free()[api.Memory]), "free")
	s.gauge(leasesDesc, float64(len(c.state.Leases)))
}

// collect returns the spares' instances.
func (p *pool) collect(s sink) map[*instance]bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	ready, spares := 0, map[*instance]bool{}
	for _, spare := range p.spares {
		spares[spare.instance] = true
		if spare.ready {
			ready++
		}
	}
	s.gauge(sparesDesc, float64(ready), "ready")
	s.gauge(sparesDesc, float64(len(p.spares)-ready), "starting")
	s.flag(drainingDesc, p.idle)
	return spares
}

func (t *tally) collect(s sink, spares map[*instance]bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	all, states := t.past, map[statspage.State]int{}
	for i := range t.live {
		stats := i.page.Read()
		all.add(stats)
		if !spares[i] {
			states[stats.State]++
		}
	}
	for _, state := range []statspage.State{statspage.Starting, statspage.Hot, statspage.Warm, statspage.Running} {
		s.gauge(executorsDesc, float64(states[state]), state.String())
	}
	for cause, count := range t.died {
		s.counter(diedDesc, float64(count), cause)
	}
	s.counter(replacedDesc, float64(t.replaced))
	s.counter(lostDesc, float64(t.lost))
	s.counter(refusedDesc, float64(t.refused))
	s.counter(callsDesc, float64(all.invocations))
	s.counter(computingDesc, all.computing.Seconds())
	s.counter(spinningDesc, all.inLoop.Seconds())
}

func (t *tally) collectReports(s sink) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s.flag(registeredDesc, t.registered)
	s.counter(reportsDesc, float64(t.reports), "answered")
	s.counter(reportsDesc, float64(t.failed), "failed")
	reported := 0.0
	if !t.reported.IsZero() {
		reported = float64(t.reported.UnixNano()) / float64(time.Second)
	}
	s.gauge(reportedDesc, reported)
}
