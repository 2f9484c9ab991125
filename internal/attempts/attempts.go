package attempts

import (
	"maps"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// maxPeers is how many addresses are told apart; what comes from others beside them is counted as one.
	maxPeers = 4096
	// sweepInterval is how often it is looked, at most, whether some of them can be forgotten: who comes from ever
	// new addresses does not have all of them looked at each time.
	sweepInterval = time.Second
)

// Limit is how often each address may fail. It is safe for concurrent use.
type Limit struct {
	every rate.Limit
	burst int

	mu     sync.Mutex
	peers  map[netip.Prefix]*rate.Limiter
	others *rate.Limiter
	swept  time.Time
}

// New is a limit of so many failures at once, and of so many each second after that.
func New(burst int, perSecond float64) *Limit {
	every := rate.Limit(perSecond)
	return &Limit{every: every, burst: burst, peers: map[netip.Prefix]*rate.Limiter{}, others: rate.NewLimiter(every, burst)}
}

// Failed notes a failure at a time. It is false if that was one too many.
func (l *Limit) Failed(peer net.Addr, at time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.limiter(network(peer), at).AllowN(at, 1)
}

func (l *Limit) limiter(peer netip.Prefix, at time.Time) *rate.Limiter {
	if known := l.peers[peer]; known != nil {
		return known
	}
	if len(l.peers) >= maxPeers && at.Sub(l.swept) >= sweepInterval {
		l.swept = at
		maps.DeleteFunc(l.peers, func(_ netip.Prefix, of *rate.Limiter) bool { return of.TokensAt(at) >= float64(l.burst) })
	}
	if len(l.peers) >= maxPeers {
		return l.others
	}
	fresh := rate.NewLimiter(l.every, l.burst)
	l.peers[peer] = fresh
	return fresh
}

// network is whom an address belongs to: of IPv6 one host has 2^64 of them.
func network(peer net.Addr) netip.Prefix {
	at, err := netip.ParseAddrPort(peer.String())
	if err != nil {
		return netip.Prefix{} // no network's: all of these are one
	}
	address, bits := at.Addr().Unmap().WithZone(""), 64
	if address.Is4() {
		bits = 32
	}
	prefix, err := address.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return prefix
}
