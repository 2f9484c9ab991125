package metrics

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/sublet-hpc/sublet/internal/version"
)

// Path is where metrics are.
const Path = "/metrics"

// New is a registry with what every daemon has: its version, its process and Go's runtime.
func New() *prometheus.Registry {
	registry := prometheus.NewRegistry()
	info := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "sublet_build_info", Help: "The version of Sublet; the value is always 1.",
		ConstLabels: prometheus.Labels{"version": version.Version},
	}, func() float64 { return 1 })
	registry.MustRegister(info, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return registry
}

// Handler answers with a registry's metrics.
func Handler(registry *prometheus.Registry) http.Handler {
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 5 * time.Second})
}

// Listener serves metrics at an address of their own.
type Listener struct {
	web      *http.Server
	listener net.Listener
	served   chan error
}

// Listen serves metrics at an address, host:port, until Close. Port 0 is any that is free; the log says
// which. The error says so if the address can not be had.
func Listen(address string, handler http.Handler, log *slog.Logger) (*Listener, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listening for who collects metrics (--metrics %s): %w; name another address, or leave it out", address, err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET "+Path, handler)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "there is nothing but GET "+Path, http.StatusNotFound)
	})
	l := &Listener{listener: listener, served: make(chan error, 1), web: &http.Server{
		Handler: mux, ReadTimeout: 5 * time.Second, WriteTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}}
	go func() { l.served <- l.web.Serve(listener) }()
	log.Info("metrics", "url", l.URL())
	return l, nil
}

// URL is where the metrics are.
func (l *Listener) URL() string { return "http://" + l.listener.Addr().String() + Path }

// Close ends it, and waits a second at most for those who are being answered.
func (l *Listener) Close() error {
	if l == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if l.web.Shutdown(ctx) != nil {
		l.web.Close()
	}
	if err := <-l.served; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving metrics: %w", err)
	}
	return nil
}
