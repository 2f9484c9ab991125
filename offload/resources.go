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

// announce says hello to the executor managers of this host, so that they do not lend this rank's core.
func (s *Session) announce(ctx context.Context) error {
	nodes, err := s.resources.Nodes(ctx, bootID())
	if err != nil {
		return fmt.Errorf("offload: %w", explainResources(err))
	}
	for _, node := range nodes {
		conn, err := dialHere(ctx, node.Reach)
		if err != nil {
			return err
		}
		if conn == nil {
			continue
		}
		link, _, err := newLink(ctx, conn, hello(), func(*control.Frame) {})
		if errors.Is(err, ErrVersion) {
			return err
		}
		if err == nil { // else it is just ending
			s.helpers = append(s.helpers, link)
			s.node = node.Name
		}
	}
	return nil
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
	case errors.Is(err, api.ErrNoCapacity):
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

// acquireGranted has the resource manager grant the lease, and shows its tickets to the managers.
func (l *Lease) acquireGranted(ctx context.Context) error {
	until := time.Now().Add(l.want.Wait)
	for attempt := 1; ; attempt++ {
		grant, err := l.session.resources.Grant(ctx, grantRequest(&l.want, time.Until(until)))
		if err != nil {
			return explainResources(err)
		}
		l.name = grant.Lease.ID
		stop := l.keepRenewing(grant.TTL)
		err = l.openSites(ctx, grant.Tickets)
		if err == nil {
			l.stopRenewing = stop
			return nil
		}
		stop()
		err = errors.Join(err, l.endSites())
		l.forgetGrant()
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

func grantRequest(want *Want, wait time.Duration) api.GrantRequest {
	uid := os.Getuid()
	name := strconv.Itoa(uid)
	if u, err := user.LookupId(name); err == nil { // else one that only the directory service knows
		name = u.Username
	}
	return api.GrantRequest{
		Executors: want.Executors, Memory: want.Memory, Oversubscribe: want.Oversubscribe, Wait: max(wait, 0),
		UID: uid, User: name, Account: os.Getenv("SLURM_JOB_ACCOUNT"),
	}
}

// openSites opens all of the lease's sites at once.
func (l *Lease) openSites(ctx context.Context, tickets []api.Access) error {
	ctx, cancel := context.WithCancel(ctx) // the failure of one ends the others
	defer cancel()
	sites := make([]*site, len(tickets))
	errs := make([]error, len(tickets))
	var first error
	var once sync.Once
	var all sync.WaitGroup
	for i, ticket := range tickets {
		all.Go(func() {
			sites[i], errs[i] = l.openSite(ctx, ticket)
			if errs[i] != nil {
				once.Do(func() {
					first = errs[i]
					cancel()
				})
			}
		})
	}
	all.Wait()
	for _, s := range sites {
		if s != nil {
			l.sites = append(l.sites, s)
		}
	}
	if first != nil {
		return first
	}
	return l.gather()
}

// openSite opens one. It returns the site also with an error, if it has to be released.
func (l *Lease) openSite(ctx context.Context, ticket api.Access) (*site, error) {
	var indices []int
	for _, placed := range ticket.Executors {
		indices = append(indices, placed.Index)
	}
	s := l.newSite(indices)
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
	err = s.acquire(ctx, link, welcome, ticket.Ticket)
	return s, err
}

// keepRenewing renews the lease until it is stopped. The managers that hold it do so as well, so
// that it matters little whether the resource manager can be reached at present.
func (l *Lease) keepRenewing(ttl time.Duration) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		ticker := time.NewTicker(max(ttl/3, time.Second))
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				_, _ = l.session.resources.Renew(ctx, l.name)
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

// forgetGrant tells the resource manager that nothing of the lease is left.
func (l *Lease) forgetGrant() {
	ctx, cancel := context.WithTimeout(context.Background(), forgetPatience)
	defer cancel()
	_ = l.session.resources.Release(ctx, l.name)
}
