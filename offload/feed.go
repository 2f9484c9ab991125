package offload

// ahead is how many parts an executor has at once, where they are dealt out: one to compute and one to go on with.
const ahead = 2

// feed sends executors what they can take.
func (s *Split) feed() {
	if s.dealing {
		if s.dealer.items > 0 {
			s.feedDealt()
		}
		return
	}
	for i := range s.crews {
		c := &s.crews[i]
		for _, part := range c.queue {
			s.send(c, attempt{part: part, fresh: s.isFresh(part)})
		}
		c.queue = c.queue[:0]
	}
}

// feedDealt keeps executors busy with parts that the dealer gives them.
func (s *Split) feedDealt() {
	now := s.now()
	s.dealer.workers[0].rate = s.pace()
	for i := range s.crews {
		c, w := &s.crews[i], &s.dealer.workers[1+i]
		if !c.tried {
			w.rate, w.latency = c.pace.rate(), c.pace.delay()
		}
		w.delay = max(c.until-now, w.latency)
	}
	for i := range s.crews {
		c, w := &s.crews[i], &s.dealer.workers[1+i]
		for !w.out && len(c.sent) < ahead {
			if w.rate == 0 && c.given && (len(c.sent) > 0 || c.tried) { // what it had was to learn from
				break
			}
			if c.executor.usable() == nil {
				break
			}
			span := s.dealer.take(1 + i)
			if span.Len() == 0 {
				break
			}
			s.send(c, attempt{part: Part{Lo: span.Lo, Hi: span.Hi, Index: s.index, Piece: span}})
			s.index++
			w.delay = max(c.until-s.now(), w.latency)
		}
	}
}

// ownPart is what the caller computes next.
func (s *Split) ownPart() Span {
	if !s.dealing {
		if len(s.ownSpans) == 0 {
			return Span{}
		}
		last := len(s.ownSpans) - 1
		span := s.ownSpans[last]
		s.ownSpans = s.ownSpans[:last]
		return span
	}
	if s.dealer.items == 0 {
		return Span{}
	}
	s.dealer.workers[0].rate = s.pace()
	return s.dealer.take(0)
}
