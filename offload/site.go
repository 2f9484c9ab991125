package offload

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"github.com/sublet-hpc/sublet/internal/control"
	"github.com/sublet-hpc/sublet/internal/fabric"
	"github.com/sublet-hpc/sublet/resources/api"
)

// site is what a lease has on one node: a control connection to the manager there, and executors.
//
//	new ── dialed ──▶ asking ── granted, executors met ──▶ open ── release, or the link ends ──▶ ended
//
// When the link of an open site ends, and the lease is not over, its executors get new berths.
type site struct {
	lease     *Lease
	link      *link
	node      string
	local     bool   // on this host: descriptors can be passed
	address   string // of the node, as it was reached
	transport transport
	functions []control.Function
	berths    []*berth // by the manager's indices
	name      string   // that the manager gave to the lease
	memory    int64    // of each executor, in bytes, where the lease does not say
	proof     []byte   // that a ticket is this client's own, which its manager wants to see

	living sync.WaitGroup // berths

	mu       sync.Mutex
	open     bool // accepted by the lease
	released bool
	left     int    // berths whose lives are over
	lost     bool   // nothing lives here any more, because the manager is gone
	over     string // why the manager has ended the lease; empty: it has not
	drains   bool   // its manager is about to end
}

// newSite makes a site with berths for these executors.
func (l *Lease) newSite(executors []*Executor) *site {
	s := &site{lease: l, address: loopback}
	for place, e := range executors {
		s.berths = append(s.berths, newBerth(e, s, place))
	}
	return s
}

// accept opens the site: from now on its loss is the lease's.
func (s *site) accept() {
	drains := false
	s.note(func() { s.open, drains = true, s.drains })
	if drains {
		go s.empty()
	}
}

// leave is called at the end of a berth's life.
func (s *site) leave() {
	s.note(func() { s.left++ })
	s.living.Done()
}

// note changes the site, and tells the lease if nothing lives here any more because the manager is
// gone. It tells it without mu: the lease asks its sites whether they are lost while it holds its own.
func (s *site) note(change func()) {
	s.mu.Lock()
	change()
	lost := s.open && !s.released && s.left == len(s.berths) && s.link.isClosed()
	if lost {
		s.open, s.lost = false, true
	}
	s.mu.Unlock()
	if lost {
		s.lease.vacate(s)
	}
}

func (s *site) isReleased() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.released
}

func (s *site) isLost() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lost
}

// whyReleased is what ends invocations on a site that was given back.
func (s *site) whyReleased() error {
	if s.lease.alive.Err() != nil {
		return errReleased
	}
	return &ExecutorLost{Executor: "an executor on " + s.node, Cause: LostManager, Reason: "it was given back, because not all that were asked for with it could be had"}
}

// acquire asks the manager at the other end of a link, which it takes over, for the executors, and
// returns when all have been met. ticket is empty where the manager grants leases itself. If it fails
// the site has to be released as well.
func (s *site) acquire(ctx context.Context, link *link, welcome control.Welcome, ticket string, wait time.Duration) (err error) {
	s.link, s.node, s.local = link, welcome.Node, link.conn.PassesDescriptors()
	if at, ok := link.conn.Stream().RemoteAddr().(*net.TCPAddr); ok {
		s.address = at.IP.String()
	}
	chosen, err := s.chooseTransport()
	if err != nil {
		return err
	}
	defer func() { <-chosen.done }()
	want := &s.lease.want
	request := control.LeaseRequest{
		Executors: len(s.berths), CoresPerExecutor: want.CoresPerExecutor, Library: want.Library, HotTimeout: want.hot(), Oversubscribe: want.Oversubscribe,
		Environment: want.Environment, StackSize: want.StackSize, Memory: cmp.Or(want.Memory, s.memory), Ticket: ticket, Proof: s.proof, Wait: wait,
		TimeLimit: s.lease.limit.left(want.TimeLimit), Libfabric: chosen.overLibfabric,
	}
	var files []*os.File
	if s.local {
		files = []*os.File{os.Stderr}
	} else {
		request.Content = s.lease.content()
	}
	frame, err := link.callFrame(ctx, control.TypeLease, theManager, request, files...)
	if err != nil {
		return err
	}
	defer frame.Close()
	var granted control.Granted
	if err := frame.Decode(&granted); err != nil {
		return link.explain(err)
	}
	if len(granted.Executors) != len(s.berths) || len(frame.Files) != s.descriptors(len(s.berths)) {
		return &control.ProtocolError{Reason: fmt.Sprintf("a lease of %d executors came with %d of them and %d descriptors", len(s.berths), len(granted.Executors), len(frame.Files))}
	}
	for _, e := range granted.Executors {
		if e.Core != api.NoCore && 1+len(e.More) != want.cores() {
			return classify(ErrVersion, "offload: executors of %d cores each were asked for, and node %s has granted one of %d; use one version of Sublet everywhere", want.cores(), s.node, 1+len(e.More))
		}
	}
	s.functions = granted.Functions
	s.name = granted.Lease
	<-chosen.done
	if s.transport, err = chosen.transport, chosen.err; err != nil {
		return err
	}
	met := make(chan error, len(s.berths))
	s.living.Add(len(s.berths))
	go func() { // berths may be left long before
		<-link.closed
		s.note(func() {})
	}()
	for i, b := range s.berths {
		p := process{info: granted.Executors[i]}
		if s.local {
			p.pidfd = frame.Files[i]
		}
		b.executor.berth.Store(b)
		go b.live(ctx, p, met)
	}
	frame.Files = nil
	var failure error // the others usually fail for the same reason
	for range s.berths {
		failure = cmp.Or(failure, <-met)
	}
	return failure
}

// choice is a transport that is being chosen.
type choice struct {
	overLibfabric bool
	done          chan struct{} // closed when what follows is set
	transport     transport
	err           error
}

// chooseTransport fails at once where the wish makes no sense. Else it goes on beside the asking for
// executors, because to load libfabric takes long, here and in the executors.
func (s *site) chooseTransport() (*choice, error) {
	ring, err := s.lease.wish.isRing(s.local)
	if err != nil {
		return nil, err
	}
	c := &choice{overLibfabric: !ring, done: make(chan struct{})}
	if ring {
		c.transport = transport{name: fabric.Ring}
		close(c.done)
		return c, nil
	}
	go func() {
		defer close(c.done)
		c.transport, c.err = s.lease.wish.overLibfabric()
	}()
	return c, nil
}

// descriptors is how many come for n processes.
func (s *site) descriptors(n int) int {
	if s.local {
		return n
	}
	return 0
}

// unasked handles what the manager says by itself; it runs on the link's receiving goroutine.
func (s *site) unasked(frame *control.Frame) {
	switch frame.Type {
	case control.TypeContent:
		var wanted control.Content
		if frame.Decode(&wanted) == nil {
			go s.sendLibrary(wanted)
		}
	case control.TypeDrain:
		var drain control.Drain
		if frame.Decode(&drain) == nil {
			s.drain(drain.Reason)
		}
	case control.TypeOver:
		var over control.Over
		if frame.Decode(&over) == nil {
			s.end(over.Reason)
		}
	case control.TypeEnded:
		var ended control.Ended
		if frame.Decode(&ended) != nil || ended.Executor < 0 || ended.Executor >= len(s.berths) {
			return
		}
		s.berths[ended.Executor].hear(ended)
	case control.TypeReplaced:
		var info control.Executor
		if frame.Decode(&info) != nil || info.Index < 0 || info.Index >= len(s.berths) || len(frame.Files) != s.descriptors(1) {
			return
		}
		p := process{info: info}
		if s.local {
			p.pidfd = frame.Files[0]
		}
		select {
		case s.berths[info.Index].replacements <- p:
			frame.Files = nil
		default:
		}
	}
}

// end is for when the manager has ended the lease. What lives here is lost with the link, and is not asked for
// elsewhere.
func (s *site) end(reason string) {
	s.mu.Lock()
	s.over = reason
	s.mu.Unlock()
	s.lease.limit.end(reason)
	s.link.end(errors.New(overText(reason)))
}

// overBy is why the manager has ended the lease; empty: it has not.
func (s *site) overBy() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.over
}

// release gives the executors back. If the manager can not be asked, the end of the link tells it, or
// it is dead: its executors die in either case. Those on this host are waited for by their pidfds;
// others can not reach us any more once our ends of their connections are closed.
func (s *site) release(ctx context.Context) {
	s.mu.Lock()
	s.released = true
	s.mu.Unlock()
	if s.link == nil {
		return
	}
	for _, b := range s.berths { // the manager may be stopped, or hang
		if c := b.executor.current.Load(); c != nil && c.berth == b {
			go c.insist()
		}
	}
	ctx, cancel := context.WithTimeout(ctx, stalls().end+askingPatience)
	defer cancel()
	_ = s.link.call(ctx, control.TypeRelease, theManager, nil, nil)
	s.link.close()
}

// askingPatience is how much longer than until we end the executors on this host ourselves a manager may take to
// release a lease; together that is less than releasePatience.
const askingPatience = time.Second

// dialNode connects to a node's manager: by its socket if it is on this host, else over the network.
func dialNode(ctx context.Context, name string, reach api.Reach) (*control.Conn, error) {
	conn, err := dialHere(ctx, reach)
	if err != nil || conn != nil {
		return conn, err
	}
	if reach.Address == "" {
		return nil, fmt.Errorf("offload: node %s is not on this host, and its executor manager does not listen on a network", name)
	}
	if err := reach.Pin.Check(); err != nil {
		return nil, fmt.Errorf("offload: node %s can not be known by its key: %w; is its executor manager of this version?", name, err)
	}
	conn, err = control.Dial(ctx, reach.Address, secured(reach.Pin.Config()))
	if err != nil {
		return nil, &nodeAway{name, reach.Address, err}
	}
	return conn, nil
}

// secured has a client's end of TLS made of connections.
func secured(config *tls.Config) control.Secure {
	return func(ctx context.Context, stream net.Conn) (net.Conn, error) {
		connection := tls.Client(stream, config)
		err := connection.HandshakeContext(ctx)
		return connection, err
	}
}

// dialHere connects to a manager on this host; nil if it is on another one, or in namespaces of its
// own, which is as far.
func dialHere(ctx context.Context, reach api.Reach) (*control.Conn, error) {
	if reach.Boot == "" || reach.Socket == "" || reach.Boot != bootID() {
		return nil, nil
	}
	var dialer net.Dialer
	stream, err := dialer.DialContext(ctx, "unix", "@"+reach.Socket)
	if err != nil {
		return nil, ctx.Err() // it is not there: the name is in another network namespace
	}
	peer, err := peerOf(stream.(*net.UnixConn))
	if err != nil || int(peer.Uid) != os.Getuid() || int(peer.Pid) != reach.PID {
		stream.Close()
		return nil, err
	}
	return control.New(stream), nil
}
