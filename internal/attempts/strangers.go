package attempts

import (
	"container/list"
	"net"
	"net/netip"
	"sync"
)

// Strangers are connections of those who have not yet shown a right to anything. There is a bounded number of
// them: one more, and the oldest of the address that has most is dropped. So whoever only opens connections
// drives out its own, and others still get in. It is safe for concurrent use.
type Strangers struct {
	most int

	mu    sync.Mutex
	count int
	peers map[netip.Prefix]*list.List // of *stranger, the oldest first
}

type stranger struct {
	drop func()
}

// NewStrangers are so many at most.
func NewStrangers(most int) *Strangers {
	return &Strangers{most: max(most, 1), peers: map[netip.Prefix]*list.List{}}
}

// Enter counts a connection until leave is called, which may be done more than once. drop ends the connection: it is
// called at most once, and not after leave has returned true, which says that the connection was still here.
func (s *Strangers) Enter(peer net.Addr, drop func()) (leave func() bool) {
	from := network(peer)
	s.mu.Lock()
	of := s.peers[from]
	if of == nil {
		of = list.New()
		s.peers[from] = of
	}
	entry := of.PushBack(&stranger{drop})
	s.count++
	var dropped *stranger
	if s.count > s.most {
		dropped = s.oldestOfMost()
	}
	s.mu.Unlock()
	if dropped != nil {
		dropped.drop()
	}
	return func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		its := entry.Value.(*stranger)
		if its.drop == nil {
			return false
		}
		s.forget(from, of, entry)
		return true
	}
}

// Count is how many there are.
func (s *Strangers) Count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count
}

// oldestOfMost takes out the one to drop. mu is held, and there is one.
func (s *Strangers) oldestOfMost() *stranger {
	var from netip.Prefix
	var most *list.List
	for network, of := range s.peers {
		if most == nil || of.Len() > most.Len() {
			from, most = network, of
		}
	}
	oldest := most.Front()
	dropped := *oldest.Value.(*stranger)
	s.forget(from, most, oldest)
	return &dropped
}

// forget takes one out. mu is held.
func (s *Strangers) forget(from netip.Prefix, of *list.List, entry *list.Element) {
	entry.Value.(*stranger).drop = nil
	of.Remove(entry)
	s.count--
	if of.Len() == 0 && s.peers[from] == of {
		delete(s.peers, from)
	}
}
