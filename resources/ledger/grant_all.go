package ledger

import (
	"fmt"

	"github.com/sublet-hpc/sublet/resources/api"
)

// GrantAll begins leases that are alike, one for each rank of a program, say: all of them, or none.
type GrantAll struct {
	// Grant is what they are like. It has neither a Lease nor a Node, and its Executors are those of all leases together.
	Grant  Grant
	Shares []Share
}

// Share is one of the leases.
type Share struct {
	Lease     string // its name, not used before
	Executors int
	// Near is the node that its executors are on as far as there is room: that of its client. Empty, or not one that may
	// have executors: there is none.
	Near string `json:",omitzero"`
}

func (c GrantAll) apply(s *State) (Result, error) {
	if err := c.check(s); err != nil {
		return Result{}, err
	}
	p, err := c.Grant.look(s)
	if err != nil {
		return Result{}, err
	}
	leases := make([]*api.Lease, len(c.Shares))
	for i, share := range c.Shares {
		leases[i] = c.Grant.begin(share.Lease)
	}
	c.settleNear(p, leases)
	var rest []*api.Lease // of each executor that is not placed
	for i, share := range c.Shares {
		for range share.Executors - len(leases[i].Executors) {
			rest = append(rest, leases[i])
		}
	}
	p.fill(len(rest), func(turn int) *api.Lease { return rest[turn] })
	var result Result
	for _, lease := range leases {
		s.Leases[lease.ID] = lease
		result.Leases = append(result.Leases, lease.Clone())
	}
	return result, nil
}

func (c GrantAll) check(s *State) error {
	if c.Grant.Lease != "" || c.Grant.Node != "" || len(c.Shares) == 0 {
		return &refusal{ErrInvalid, fmt.Sprintf("%d leases at once, together called %q, on node %q; each has its own name, and there is at least one", len(c.Shares), c.Grant.Lease, c.Grant.Node)}
	}
	if err := c.Grant.validate(); err != nil {
		return err
	}
	executors := 0
	names := map[string]bool{}
	for _, share := range c.Shares {
		if share.Lease == "" || share.Executors < 1 {
			return &refusal{ErrInvalid, fmt.Sprintf("a lease %q of %d executors; it needs a name and at least one", share.Lease, share.Executors)}
		}
		if names[share.Lease] || s.Leases[share.Lease] != nil {
			return &refusal{ErrExists, fmt.Sprintf("there is a lease %q already", share.Lease)}
		}
		names[share.Lease] = true
		executors += share.Executors
	}
	if executors != c.Grant.Executors {
		return &refusal{ErrInvalid, fmt.Sprintf("leases of %d executors together are said to have %d", executors, c.Grant.Executors)}
	}
	return nil
}

// settleNear places executors on the nodes that their leases are near to, one of each lease in turn, so that leases
// near to the same node have equal parts of it. It comes before all others are placed: nobody takes
// what is near to another.
func (c GrantAll) settleNear(p *places, leases []*api.Lease) {
	open := map[string]*Node{}
	for _, node := range p.open {
		open[node.Record.Name] = node
	}
	for placed := true; placed; {
		placed = false
		for i, share := range c.Shares {
			near := open[share.Near]
			if near == nil || p.taken >= p.spare || len(leases[i].Executors) == share.Executors {
				continue
			}
			if near.room(c.Grant.each()) == 0 {
				delete(open, share.Near)
				continue
			}
			leases[i].Executors = append(leases[i].Executors, place([]*Node{near}, share.Lease, len(leases[i].Executors), c.Grant.each()))
			p.taken++
			placed = true
		}
	}
}
