package manager

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sublet-hpc/sublet/resources/api"
)

// DaemonOptions say where a daemon is found and by whom.
type DaemonOptions struct {
	Options
	// Directory is the run directory; empty: the usual one.
	Directory string
	// Listen is the address for clients on other hosts, host:port; empty: a free port at the
	// address by which this host reaches the resource manager.
	Listen string
	// NameIfTaken is the node's name where another manager has Name; empty: that is waited for, and then an error.
	NameIfTaken string
	// Metrics is an address, host:port, at which Prometheus finds metrics; empty: there are none.
	Metrics string
	Retirement
	// Check looks at the resource manager before anything is sent to it; nil: it is not needed.
	Check func(api.AccessFile) error
}

// RunDaemon is the executor manager of a node that a resource manager lends. It returns when ctx
// ends, or its allocation is about to, and its leases have gone elsewhere; then nothing is left of any lease, and the
// node is deregistered.
//
//	waiting for access.json ──▶ listening ── register ──▶ lending ──▶ retiring ── deregister ──▶ ended
//	                                             ▲           │ the resource manager does not answer
//	                                             └───────────┘   (leases go on meanwhile)
//
// Where another manager has the node's name and options have one to fall back to, it begins anew with that.
func RunDaemon(ctx context.Context, options DaemonOptions) error {
	if err := widenAffinity(); err != nil {
		return err
	}
	err := lend(ctx, options)
	if errors.Is(err, api.ErrExists) && options.NameIfTaken != "" {
		log := options.Log
		if log == nil {
			log = slog.New(slog.DiscardHandler)
		}
		log.Info("another executor manager has the name of this node; this one takes another", "name", options.Name, "takes", options.NameIfTaken)
		options.Name, options.NameIfTaken = options.NameIfTaken, ""
		err = lend(ctx, options)
	}
	return err
}

// lend is the life of a daemon under one name.
func lend(ctx context.Context, options DaemonOptions) error {
	changes := make(chan struct{}, 1)
	changed := func() {
		select {
		case changes <- struct{}{}:
		default: // somebody has said so already
		}
	}
	options.tickets = newTickets(os.Getuid(), changed)
	options.changed = changed
	m, err := New(options.Options)
	if err != nil {
		return err
	}
	defer m.Close()
	collect, err := serveMetrics(m, options.Metrics)
	if err != nil {
		return err
	}
	defer collect.Close()
	resources, err := find(ctx, options.Directory, m.log)
	if err != nil || resources == nil {
		return err
	}
	defer resources.Close()
	if options.Check != nil {
		if err := options.Check(resources.Access()); err != nil {
			return err
		}
	}
	d := &daemon{manager: m, resources: resources, log: m.log, changes: changes, instance: randomName(16), namePatience: namePatience}
	if options.NameIfTaken != "" {
		d.namePatience = 0
	}
	if err := d.listen(options.Listen); err != nil {
		return err
	}
	defer d.stop()
	if !options.Ends.IsZero() {
		m.foresee(options.Ends, options.DrainBefore) // its registration says it
	}
	reporting, end := context.WithCancel(context.Background())
	defer end()
	go func() {
		defer end()
		m.retire(ctx, reporting, options.Retirement, changed)
	}()
	return d.report(reporting)
}

func randomName(size int) string {
	name := make([]byte, size)
	_, _ = rand.Read(name) // never fails
	return hex.EncodeToString(name)
}

// findInterval is how often a run directory is looked into that has no resource manager yet.
const findInterval = 250 * time.Millisecond

// find waits for the run directory's resource manager; nil when ctx ends before there is one.
func find(ctx context.Context, dir string, log *slog.Logger) (*api.Client, error) {
	for told := false; ; told = true {
		client, err := api.Open(dir)
		if !errors.Is(err, api.ErrNoResourceManager) {
			return client, err
		}
		if !told {
			log.Warn("waiting for a resource manager", "error", err)
		}
		select {
		case <-time.After(findInterval):
		case <-ctx.Done():
			return nil, nil
		}
	}
}

// daemon is a manager with those who reach it over the network, and its reports.
type daemon struct {
	manager   *Manager
	resources *api.Client
	log       *slog.Logger
	changes   <-chan struct{}
	instance  string
	reach     api.Reach

	namePatience time.Duration

	registered bool
	draining   bool
	interval   time.Duration // between reports, as the resource manager asks for; 0: never registered
	beat       uint64        // of the last report

	listeners []net.Listener
	accepting sync.WaitGroup
}

func (d *daemon) listen(address string) error {
	if address == "" {
		host, err := addressTowards(d.resources.Access().URL)
		if err != nil {
			return err
		}
		address = net.JoinHostPort(host, "0")
	}
	network, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("executor manager: listening at %s: %w", address, err)
	}
	d.listeners = append(d.listeners, network)
	d.reach = api.Reach{Pin: d.manager.identity.Pin, Boot: bootID(), PID: os.Getpid(), Socket: fmt.Sprintf("sublet-%d-manager-%s", os.Getuid(), randomName(8))}
	if d.reach.Address, err = d.reachable(network.Addr().(*net.TCPAddr)); err != nil {
		d.stop()
		return err
	}
	local, err := listen(d.reach.Socket)
	if err != nil {
		d.stop()
		return err
	}
	d.listeners = append(d.listeners, local)
	if d.manager.direct != nil {
		d.manager.direct.reach = d.reach
	}
	d.accept(local, func(stream net.Conn) { d.manager.Serve(stream.(*net.UnixConn)) })
	d.accept(network, d.manager.ServeRemote)
	d.log.Info("listening", "address", d.reach.Address, "socket", d.reach.Socket)
	return nil
}

// reachable is the address that clients are told.
func (d *daemon) reachable(at *net.TCPAddr) (string, error) {
	if !at.IP.IsUnspecified() {
		return at.String(), nil
	}
	if d.resources == nil { // clients know it from their executors database
		return at.String(), nil
	}
	host, err := addressTowards(d.resources.Access().URL)
	return net.JoinHostPort(host, fmt.Sprint(at.Port)), err
}

// addressTowards is this host's address on the way to a URL. Nothing is sent.
func addressTowards(target string) (string, error) {
	u, err := url.Parse(target)
	if err != nil {
		return "", fmt.Errorf("executor manager: the resource manager's URL: %w", err)
	}
	probe, err := net.Dial("udp", net.JoinHostPort(u.Hostname(), "9"))
	if err != nil {
		return "", fmt.Errorf("executor manager: finding this host's address on the way to %s: %w; name one with --listen, or, if that name is not known here, start the resource manager with --listen and an address", u.Host, err)
	}
	defer probe.Close()
	local := probe.LocalAddr().(*net.UDPAddr)
	return (&net.IPAddr{IP: local.IP, Zone: local.Zone}).String(), nil
}

// bootID tells kernels apart.
func bootID() string {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "" // clients will come over the network
	}
	return strings.TrimSpace(string(text))
}

// accept serves who connects until the listener is closed.
func (d *daemon) accept(listener net.Listener, serve func(net.Conn)) {
	d.accepting.Go(func() {
		for {
			stream, err := listener.Accept()
			switch {
			case err == nil:
				go serve(stream)
			case errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE):
				d.log.Warn("a client has to wait", "error", err)
				<-time.After(acceptPause)
			case errors.Is(err, unix.ECONNABORTED):
			default:
				if !errors.Is(err, net.ErrClosed) {
					d.log.Error("no more clients can connect", "address", listener.Addr(), "error", err)
				}
				return
			}
		}
	})
}

func (d *daemon) stop() {
	for _, listener := range d.listeners {
		listener.Close()
	}
	d.accepting.Wait()
}
