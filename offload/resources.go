package offload

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sublet-hpc/sublet/internal/control"
	"github.com/sublet-hpc/sublet/resources/api"
)

// resourceManager finds the one of the run directory; nil: there is none, and sessions are embedded.
func resourceManager() (*api.Client, error) {
	client, err := api.Open("")
	if errors.Is(err, api.ErrNoResourceManager) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("offload: %w", explainResources(err))
	}
	return client, nil
}

// announce says hello to the executor managers of this host, so that they do not lend this rank's core. Links come
// also with an error; no name means that there is none of them.
func (s *Session) announce(ctx context.Context) (links []*link, name string, _ error) {
	nodes, err := s.resources.Nodes(ctx, bootID())
	if err != nil {
		return nil, "", fmt.Errorf("offload: %w", explainResources(err))
	}
	for _, node := range nodes {
		conn, err := dialHere(ctx, node.Reach)
		if err != nil {
			return links, "", err
		}
		if conn == nil {
			continue
		}
		link, _, err := newLink(ctx, conn, hello(), func(*control.Frame) {})
		if errors.Is(err, ErrVersion) {
			return links, "", err
		}
		if err == nil { // else it is just ending
			links = append(links, link)
			name = node.Name
		}
	}
	return links, name, nil
}

// bootID tells hosts apart.
var bootID = sync.OnceValue(func() string {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "" // managers are reached over the network
	}
	return strings.TrimSpace(string(text))
})

// explainResources makes the resource manager's refusals findable by errors.Is.
func explainResources(err error) error {
	switch {
	case errors.Is(err, api.ErrNoCapacity), errors.Is(err, api.ErrQuota):
		return classify(ErrNoCapacity, "%v", err)
	case errors.Is(err, api.ErrVersion):
		return classify(ErrVersion, "%v", err)
	}
	return err
}

// staleGrants is how often a grant may turn out to be of cores that somebody has just taken: a rank
// that has started, or another manager's executor.
const staleGrants = 5

// awayPause is how long to wait before asking again when a node that was granted can't be reached.
const awayPause = time.Second

// nodeAway says that the executor manager of a node can not be reached.
type nodeAway struct {
	node    string
	address string
	err     error
}

func (e *nodeAway) Error() string {
	return fmt.Sprintf("offload: the executor manager of node %s can not be reached at %s: %v; --listen of sublet executor-manager names another address", e.node, e.address, e.err)
}

func (e *nodeAway) Unwrap() error { return e.err }

// settleGranted has the resource manager grant berths, and shows its tickets to the managers.
func (l *Lease) settleGranted(ctx context.Context, executors []*Executor, wait time.Duration) error {
	until := time.Now().Add(wait)
	for attempt := 1; ; attempt++ {
		granted, err := l.session.resources.Grant(ctx, l.grantRequest(len(executors), time.Until(until)))
		if err != nil {
			return explainResources(err)
		}
		g := &grant{lease: l, id: granted.Lease.ID, stopRenewing: l.keepRenewing(granted.Lease.ID, granted.TTL)}
		err = l.openSites(ctx, g, executors, granted.Tickets)
		if err = l.admit(g, err); err == nil {
			return nil
		}
		var away *nodeAway
		switch {
		case attempt >= staleGrants || ctx.Err() != nil:
			return err
		case errors.Is(err, ErrNoCapacity):
		case errors.As(err, &away): // it has just died, and is written off before long
			select {
			case <-time.After(awayPause):
			case <-ctx.Done():
				return err
			}
		default:
			return err
		}
	}
}

func (l *Lease) grantRequest(executors int, wait time.Duration) api.GrantRequest {
	want := &l.want
	uid := os.Getuid()
	name := strconv.Itoa(uid)
	if u, err := user.LookupId(name); err == nil { // else one that only the directory service knows
		name = u.Username
	}
	account := want.Account
	if account == "" {
		account = api.Account()
	}
	return api.GrantRequest{
		Executors: executors, CoresPerExecutor: want.CoresPerExecutor, Memory: want.Memory, Oversubscribe: want.Oversubscribe, Placement: want.Placement, Wait: max(wait, 0),
		TimeLimit: l.limit.left(want.TimeLimit),
		UID:       uid, User: name, Account: account,
	}
}

// openSites opens all sites of a grant at once.
func (l *Lease) openSites(ctx context.Context, g *grant, executors []*Executor, tickets []api.Access) error {
	ctx, cancel := context.WithCancel(ctx) // the failure of one ends the others
	defer cancel()
	placed, err := distribute(executors, tickets)
	if err != nil {
		return err
	}
	sites := make([]*site, len(tickets))
	var first error
	var once sync.Once
	var all sync.WaitGroup
	for i, ticket := range tickets {
		all.Go(func() {
			var err error
			if sites[i], err = l.openSite(ctx, placed[i], ticket); err != nil {
				once.Do(func() {
					first = err
					cancel()
				})
			}
		})
	}
	all.Wait()
	for _, s := range sites {
		if s != nil {
			g.sites = append(g.sites, s)
		}
	}
	return first
}

// distribute gives each ticket's places to executors: a ticket's index counts those of its grant.
func distribute(executors []*Executor, tickets []api.Access) ([][]*Executor, error) {
	placed := make([][]*Executor, len(tickets))
	taken := make([]bool, len(executors))
	n := 0
	for i, ticket := range tickets {
		for _, p := range ticket.Executors {
			if p.Index < 0 || p.Index >= len(executors) || taken[p.Index] {
				return nil, &control.ProtocolError{Reason: fmt.Sprintf("a lease of %d executors has one of index %d, or two", len(executors), p.Index)}
			}
			taken[p.Index] = true
			placed[i] = append(placed[i], executors[p.Index])
			n++
		}
	}
	if n < len(executors) {
		return nil, &control.ProtocolError{Reason: fmt.Sprintf("a lease of %d executors came with %d of them", len(executors), n)}
	}
	return placed, nil
}

// openSite opens one. It returns the site also with an error, if it has to be released.
func (l *Lease) openSite(ctx context.Context, executors []*Executor, ticket api.Access) (*site, error) {
	s := l.newSite(executors)
	conn, err := dialNode(ctx, ticket.Node, ticket.Reach)
	if err != nil {
		return nil, err
	}
	link, welcome, err := newLink(ctx, conn, hello(), s.unasked)
	if endedByPeer(err) {
		return nil, &nodeAway{ticket.Node, ticket.Address, err}
	}
	if err != nil {
		return nil, err
	}
	s.proof = l.session.resources.Prove(welcome.Challenge, ticket.Ticket)
	err = s.acquire(ctx, link, welcome, ticket.Ticket, 0)
	return s, err
}

// keepRenewing renews a grant until it is stopped. The managers that hold it do so as well, so
// that it matters little whether the resource manager can be reached at present.
func (l *Lease) keepRenewing(id string, ttl time.Duration) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		ticker := time.NewTicker(max(ttl/3, time.Second))
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				_, _ = l.session.resources.Renew(ctx, id)
			case <-ctx.Done():
				return
			}
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

// forgetPatience is how long the resource manager may take to note the end of a lease. It learns of
// it from the managers, too.
const forgetPatience = 2 * time.Second

// forgetGrant tells the resource manager that nothing of a grant is left.
func (l *Lease) forgetGrant(id string) {
	ctx, cancel := context.WithTimeout(context.Background(), forgetPatience)
	defer cancel()
	_ = l.session.resources.Release(ctx, id)
}
