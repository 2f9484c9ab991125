package ledger

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/sublet-hpc/sublet/resources/api"
)

// A drain belongs to a node's name, not to its registration: a manager that registers again, or is
// started again, finds it.

// maxReason is how long the reason of a drain can be, in bytes.
const maxReason = 500

// DrainNode lets a node's leases go on, and no new ones begin. Of one that drains already it changes
// the reason, if there is a new one.
type DrainNode struct {
	Node   string
	Reason string // may be empty
	At     time.Time
}

func (c DrainNode) apply(s *State) (Result, error) {
	drain, drained := s.Drains[c.Node]
	if !drained {
		if _, err := s.node(c.Node); err != nil {
			return Result{}, err
		}
		drain.Since = c.At
	}
	if len(c.Reason) > maxReason || strings.ContainsFunc(c.Reason, unicode.IsControl) {
		return Result{}, &refusal{ErrInvalid, fmt.Sprintf("the reason why node %q drains is one line of at most %d bytes", c.Node, maxReason)}
	}
	if c.Reason != "" {
		drain.Reason = c.Reason
	}
	s.Drains[c.Node] = drain
	return Result{}, nil
}

// ResumeNode ends what DrainNode began. A node that does not drain stays as it is.
type ResumeNode struct{ Node string }

func (c ResumeNode) apply(s *State) (Result, error) {
	if _, drained := s.Drains[c.Node]; !drained {
		_, err := s.node(c.Node)
		return Result{}, err
	}
	delete(s.Drains, c.Node)
	return Result{}, nil
}

// ForgetNode removes a node because somebody wants it removed, and its drain with it. It is refused
// while leases have executors there, unless by force: then those are lost, as with RemoveNode.
type ForgetNode struct {
	Node  string
	Force bool
	At    time.Time
	// Remember is until when leases that end with it are among those that have ended; zero: not at all.
	Remember time.Time
	// TurnAway is until when it is remembered that the node's manager is to end; zero: not at all.
	TurnAway time.Time `json:",omitzero"`
}

func (c ForgetNode) apply(s *State) (Result, error) {
	_, drained := s.Drains[c.Node]
	if s.Nodes[c.Node] == nil {
		delete(s.Drains, c.Node)
		if drained {
			return Result{}, nil
		}
		_, err := s.node(c.Node)
		return Result{}, err
	}
	if users := s.leasesOn(c.Node); len(users) > 0 && !c.Force {
		return Result{}, &refusal{ErrInUse, fmt.Sprintf("node %q has executors of %s %s; drain it and wait for their end, or remove it by force", c.Node, leases(len(users)), strings.Join(users, ", "))}
	}
	delete(s.Drains, c.Node)
	s.turnAway(s.Nodes[c.Node].Instance, c.TurnAway)
	result, err := RemoveNode{Node: c.Node, At: c.At}.apply(s)
	for _, lease := range result.Leases {
		if !lease.Ended.IsZero() {
			s.remember(lease.ID, c.Remember)
		}
	}
	return result, err
}

func leases(n int) string {
	if n == 1 {
		return "lease"
	}
	return "leases"
}

// leasesOn are those that have executors on a node, by their names.
func (s *State) leasesOn(node string) []string {
	var users []string
	for id, lease := range s.Leases {
		if slices.Contains(lease.Nodes(), node) {
			users = append(users, id)
		}
	}
	slices.Sort(users)
	return users
}

// Foresee says for how long a node will be lent.
type Foresee struct {
	Node    string
	Outlook api.Outlook
}

func (c Foresee) apply(s *State) (Result, error) {
	node, err := s.node(c.Node)
	if err != nil {
		return Result{}, err
	}
	if len(c.Outlook.Leaving) > maxReason || strings.ContainsFunc(c.Outlook.Leaving, unicode.IsControl) {
		return Result{}, &refusal{ErrInvalid, fmt.Sprintf("the reason why node %q leaves is one line of at most %d bytes", c.Node, maxReason)}
	}
	result := Result{Unchanged: node.Outlook == c.Outlook}
	node.Outlook = c.Outlook
	return result, nil
}

// Drain says why a node takes no new leases at a time: because somebody wants it drained, or because it will not be
// there for long. Nil: it does take them, or is not known.
func (s *State) Drain(name string, at time.Time) *api.Drain {
	if drain, drains := s.Drains[name]; drains {
		return &drain
	}
	if node := s.Nodes[name]; node != nil {
		return node.Outlook.Drain(at)
	}
	return nil
}

// Draining are the nodes that are registered and take no new leases at a time, by name.
func (s *State) Draining(at time.Time) []string {
	var names []string
	for name := range s.Nodes {
		if s.Drain(name, at) != nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// draining refuses a lease on a node that drains.
func draining(node string, drain api.Drain) error {
	why := ""
	if drain.Reason != "" {
		why = " (" + drain.Reason + ")"
	}
	if drain.Final {
		return &refusal{ErrDraining, fmt.Sprintf("node %q drains%s: its executor manager is about to end, and takes no new leases", node, why)}
	}
	return &refusal{ErrDraining, fmt.Sprintf("node %q drains%s: its leases go on, but it takes no new ones; sublet node resume %s ends that", node, why, node)}
}
