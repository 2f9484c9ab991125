package server

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/sublet-hpc/sublet/config"
	"github.com/sublet-hpc/sublet/internal/attempts"
	"github.com/sublet-hpc/sublet/internal/metrics"
	"github.com/sublet-hpc/sublet/resources/api"
	"github.com/sublet-hpc/sublet/resources/replica"
)

// Options of a resource manager.
type Options struct {
	// Directory is the run directory; empty: SUBLET_DIR's, or a new one that ~/.sublet/current
	// links to.
	Directory string
	// Listen is the address to listen at, host:port; empty: a free port of the loopback interface.
	Listen string
	// Data is the directory of the ledger; empty: in the run directory, or what replica.Choose finds.
	Data string
	// Metrics is an address, host:port, at which Prometheus finds metrics without a token; empty: there are
	// only those that need one, at Listen.
	Metrics string
	// Surface is the address of rFaaS's HTTP interface, host:port; empty: there is none.
	Surface string
	// Nodes are those of an executors database, which are added at the start.
	Nodes config.Executors
	// Output is the file that always has the executors database of what is registered; empty: none.
	Output string
	// Prices are what use costs; nil: bills have no costs.
	Prices *config.Prices
	// Quotas bound what accounts may have and use; nil: nothing is bounded.
	Quotas *config.Quotas
	// Log is where to log. Nil: nowhere.
	Log *slog.Logger

	connections int // at each listener; 0: connectionsAllowed
}

// Server is a resource manager.
type Server struct {
	log       *slog.Logger
	book      *book
	ledger    *replica.Replica
	place     replica.Place
	directory *directory
	roster    *roster
	output    output
	listener  net.Listener
	rfaas     net.Listener // of rFaaS's interface; nil: there is none
	keys      keys
	failures  *attempts.Limit
	ending    chan struct{}
	started   time.Time
	metrics   *serverMetrics
	collect   *metrics.Listener // nil: there is none
	bill      *biller
	// connections is how many can be open at each listener.
	connections int
}

// connectionKey finds a request's connection in its context.
type connectionKey struct{}

// tickInterval is how often silence and expiry are looked for.
const tickInterval = 250 * time.Millisecond

// now is the time as the ledger keeps it.
func now() time.Time { return time.Now().Round(0).UTC() }

// Open takes the run directory, opens the ledger, listens, and says so in access.json.
func Open(options Options) (*Server, error) {
	s := &Server{log: options.Log, failures: attempts.New(failuresBurst, failuresRate), connections: cmp.Or(options.connections, connectionsAllowed()), ending: make(chan struct{}), started: time.Now()}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	var err error
	if s.directory, err = takeDirectory(options.Directory); err != nil {
		return nil, err
	}
	if err := s.openLedger(options.Data); err != nil {
		return nil, errors.Join(err, s.directory.leave())
	}
	if s.keys, err = keepKeys(s.place.Directory); err != nil {
		return nil, errors.Join(fmt.Errorf("resource manager: %w", err), s.directory.withdraw(), s.close())
	}
	if err := s.open(options); err != nil {
		return nil, errors.Join(err, s.directory.withdraw(), s.collect.Close(), s.close())
	}
	return s, nil
}

func (s *Server) openLedger(named string) (err error) {
	if s.place, err = replica.Choose(s.directory.path, named); err != nil {
		return fmt.Errorf("resource manager: %w", err)
	}
	if s.ledger, err = replica.Open(replica.Options{Place: s.place, Log: s.log}); err != nil {
		return fmt.Errorf("resource manager: %w", err)
	}
	s.book = newBook(os.Getuid(), s.ledger, s.log, now())
	if s.bill, err = newBiller(s.book, filepath.Join(s.directory.path, "bill.jsonl")); err != nil {
		return errors.Join(err, s.ledger.Close())
	}
	return nil
}

// close closes the ledger and lets go of the run directory. What was made for this run alone goes with it.
func (s *Server) close() error {
	err := errors.Join(s.bill.close(), s.ledger.Close())
	if s.directory.made && s.place.Copy != "" {
		err = errors.Join(err, os.RemoveAll(s.place.Directory))
	}
	return errors.Join(err, s.directory.remove())
}

// open has the run directory and the ledger.
func (s *Server) open(options Options) (err error) {
	s.bill.prices = options.Prices
	if options.Quotas != nil {
		if s.book.quotas, err = newQuotas(*options.Quotas, s.bill, now()); err != nil {
			return err
		}
	}
	s.metrics = newServerMetrics(s.book)
	if options.Metrics != "" {
		if s.collect, err = metrics.Listen(options.Metrics, s.metrics, s.log); err != nil {
			return err
		}
	}
	s.roster = newRoster(s.book, filepath.Join(s.directory.path, "nodes.json"))
	s.output.path = options.Output
	if err := s.roster.load(); err != nil {
		return err
	}
	if len(options.Nodes.Executors) > 0 {
		if err := s.roster.enter(options.Nodes); err != nil {
			return err
		}
	}
	if err := s.output.update(s.roster); err != nil {
		return fmt.Errorf("resource manager: %w", err)
	}
	if options.Surface != "" {
		if s.rfaas, err = net.Listen("tcp", options.Surface); err != nil {
			return fmt.Errorf("resource manager: listening at %s for /add and /remove: %w", options.Surface, err)
		}
		s.log.Info("nodes are added and removed by HTTP", "address", s.rfaas.Addr().String())
	}
	if err := s.listen(options.Listen); err != nil {
		if s.rfaas != nil {
			s.rfaas.Close()
		}
		return err
	}
	return nil
}

func (s *Server) listen(address string) error {
	if address == "" {
		address = "127.0.0.1:0"
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("resource manager: listening at %s: %w", address, err)
	}
	host, err := os.Hostname()
	if err != nil {
		listener.Close()
		return fmt.Errorf("resource manager: the name of this host: %w", err)
	}
	s.listener = listener
	access := api.AccessFile{
		Version: api.AccessVersion, URL: urlOf(listener.Addr(), host), Pin: s.keys.identity.Pin,
		Tokens: s.keys.tokens, Host: host, PID: os.Getpid(),
	}
	if err := s.directory.publish(access); err != nil {
		listener.Close()
		return err
	}
	s.log.Info("resource manager", "url", access.URL, "directory", s.directory.path)
	return nil
}

// urlOf is where others reach us.
func urlOf(address net.Addr, host string) string {
	at := url.URL{Scheme: "https", Host: reachable(address, host)}
	return at.String() // which writes the interface of an address of one link as a URL has it
}

// reachable is an address that others can use: the host's name where we listen at all interfaces.
func reachable(address net.Addr, host string) string {
	tcp := address.(*net.TCPAddr)
	if tcp.IP.IsUnspecified() {
		return net.JoinHostPort(host, fmt.Sprint(tcp.Port))
	}
	return tcp.String()
}

// Ledger is the directory of the ledger.
func (s *Server) Ledger() string { return s.place.Directory }

// Directory is the run directory.
func (s *Server) Directory() string { return s.directory.path }

// URL is where the server is reached.
func (s *Server) URL() string { return s.directory.access.URL }

// Run serves until ctx ends, and leaves the run directory.
func (s *Server) Run(ctx context.Context) error {
	web := s.web(s.handler())
	failed := make(chan error, 2)
	serve := func(web *http.Server, listener net.Listener) {
		go func() { failed <- web.Serve(listener) }()
	}
	serve(web, tls.NewListener(newLimited(s.listener, s.connections), s.keys.identity.Config()))
	servers := []*http.Server{web}
	if s.rfaas != nil {
		servers = append(servers, s.web(s.surface()))
		serve(servers[1], newLimited(s.rfaas, s.connections))
	}
	s.bill.begin()
	ticker := time.NewTicker(tickInterval)
	defer ticker.Stop()
	var err error
	for serving := true; serving; {
		select {
		case <-ticker.C:
			s.book.tick(now())
			s.output.follow(s.roster, s.log)
		case err = <-failed:
			serving = false
		case <-s.ledger.Failed():
			err = fmt.Errorf("resource manager: %w", s.ledger.Err())
			serving = false
		case <-ctx.Done():
			serving = false
		}
	}
	// access.json goes first: who looks now finds that there is none.
	err = errors.Join(err, s.directory.withdraw(), s.collect.Close())
	close(s.ending)
	patience, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	for _, web := range servers {
		if web.Shutdown(patience) != nil {
			web.Close()
		}
	}
	return errors.Join(err, s.close())
}

// web serves a handler within bounds.
func (s *Server) web(handler http.Handler) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      10 * time.Second, // of those who wait: extended
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
		ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
			return context.WithValue(ctx, connectionKey{}, conn)
		},
		ConnState: func(conn net.Conn, state http.ConnState) {
			if state == http.StateClosed {
				s.book.hungUp(conn, now())
			}
		},
	}
}
