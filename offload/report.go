package offload

// Report is what a Split has done so far, for people and as JSON.
type Report struct {
	Steps   int     `json:"steps"`
	Seconds float64 `json:"seconds"` // of all steps
	// Share is the part of the last step's work that executors did, 0 to 1.
	Share     float64          `json:"share"`
	Local     Effort           `json:"local"`
	Executors []ExecutorEffort `json:"executors"`
	// LeaseSeconds is how long the Split's own lease took, of how many Leases it has got.
	LeaseSeconds float64 `json:"lease_seconds"`
	Leases       int     `json:"leases"`
	// Redone is how many parts were done once more, because their executors were lost.
	Redone int `json:"redone"`
	// Moved is how many items, with Plan.Resident, came to another executor after the first division.
	Moved int64 `json:"moved"`
	// Off is why nothing is offloaded at present; empty: it is.
	Off string `json:"off,omitempty"`
}

// Effort is what somebody has done.
type Effort struct {
	Items   int64   `json:"items"`
	Parts   int64   `json:"parts"`
	Seconds float64 `json:"seconds"` // computing
	Bytes   int64   `json:"bytes"`   // of inputs and outputs, but for constants; 0 for the caller
	// Efficiency is the part of the time of all steps in which it computed, 0 to 1.
	Efficiency float64 `json:"efficiency"`
}

// ExecutorEffort is what an executor has done, and what is known of it.
type ExecutorEffort struct {
	Effort

	Index int    `json:"index"`
	Node  string `json:"node"`
	Core  int    `json:"core"`
	// Latency is how many seconds an answer takes besides the function's; Rate how much work it does in a second, in
	// items or Plan.Weights. 0: unknown.
	Latency float64 `json:"latency"`
	Rate    float64 `json:"rate"`
}

// Report tells what was done so far.
func (s *Split) Report() Report {
	r := Report{
		Steps: s.steps, Seconds: s.seconds, Share: s.lastShare, Local: s.done, Redone: s.redone, Moved: s.moved,
		LeaseSeconds: s.leasing.seconds, Leases: s.leasing.leases,
		Executors: []ExecutorEffort{},
	}
	if s.plan.Share == Auto {
		switch {
		case s.lease == nil && s.leasing.refusal != nil:
			r.Off = s.leasing.refusal.Error()
		case s.worth.off:
			r.Off = s.off
		}
	}
	efficiency := func(e *Effort) {
		if s.seconds > 0 {
			e.Efficiency = min(e.Seconds/s.seconds, 1)
		}
	}
	efficiency(&r.Local)
	for i := range s.crews {
		c := &s.crews[i]
		e := ExecutorEffort{Effort: c.tally, Index: c.executor.index, Node: c.executor.Node(), Core: c.executor.Core(), Rate: c.pace.rate()}
		if c.pace.met {
			e.Latency = c.pace.latency
		}
		efficiency(&e.Effort)
		r.Executors = append(r.Executors, e)
	}
	return r
}
