package offload

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sublet-hpc/sublet/config"
	"github.com/sublet-hpc/sublet/internal/control"
	"github.com/sublet-hpc/sublet/resources/api"
)

// direct are the executor managers of an executors database, who grant leases themselves.
type direct struct {
	file     string
	managers []config.Executor
	// token is what those on other hosts want to see proved; none of them may be.
	token  func() (api.Token, error)
	absent absences
}

func readDatabase(path string) (*direct, error) {
	database, err := config.Read(path, config.ParseExecutors)
	if err != nil {
		return nil, fmt.Errorf("offload: the executors database: %w", err)
	}
	if len(database.Executors) == 0 {
		return nil, fmt.Errorf("offload: the executors database %s names no executor manager", path)
	}
	return &direct{file: path, managers: database.Executors, token: sync.OnceValues(func() (api.Token, error) { return api.ReadToken("") })}, nil
}

// megabyte is what the memory of the database counts.
const megabyte = 1 << 20

// door is a connection to a manager of the database, that has no lease yet.
type door struct {
	manager config.Executor
	link    *link
	welcome control.Welcome
	site    atomic.Pointer[site]
	err     error // why there is none
}

func (d *door) name() string {
	address := net.JoinHostPort(d.manager.Address, strconv.Itoa(d.manager.Port))
	if d.manager.Node == "" {
		return address
	}
	return d.manager.Node + " at " + address
}

// unasked handles what the manager says once there is a lease.
func (d *door) unasked(frame *control.Frame) {
	if s := d.site.Load(); s != nil {
		s.unasked(frame)
	}
}

func (d *door) close() {
	if d.link != nil {
		d.link.close()
	}
}

// open connects over the network, and then by the manager's own socket if that is on this host.
func (c *direct) open(ctx context.Context, d *door) error {
	address := net.JoinHostPort(d.manager.Address, strconv.Itoa(d.manager.Port))
	conn, err := control.Dial(ctx, address, secured(api.AnyServer()))
	if err != nil {
		return fmt.Errorf("offload: the executor manager %s, of %s, does not answer: %w; start it (sublet executor-manager -c FILE --device-database FILE --skip-resource-manager), or correct the database", d.name(), c.file, err)
	}
	greeting := hello()
	greeting.Boot, greeting.Nonce = bootID(), make([]byte, api.NonceSize)
	_, _ = rand.Read(greeting.Nonce) // never fails
	if d.link, d.welcome, err = newLink(ctx, conn, greeting, d.unasked); err != nil {
		return fmt.Errorf("offload: the executor manager %s: %w", d.name(), err)
	}
	if d.welcome.Socket != "" {
		here, err := dialHere(ctx, api.Reach{Boot: greeting.Boot, Socket: d.welcome.Socket, PID: d.welcome.PID})
		if err != nil {
			d.link.close()
			return err
		}
		if here != nil {
			d.link.close()
			d.link, d.welcome, err = newLink(ctx, here, hello(), d.unasked)
			return err
		}
	}
	if err := c.identify(ctx, d, greeting.Nonce); err != nil {
		d.link.close()
		return err
	}
	return nil
}

// identify makes sure that a manager on another host is one of this user, and proves that this is, too.
func (c *direct) identify(ctx context.Context, d *door, nonce []byte) error {
	if d.welcome.Proof == nil {
		return fmt.Errorf("offload: the executor manager %s lends its cores by a resource manager: set SUBLET_DIR to the run directory of that, and use no executors database", d.name())
	}
	token, err := c.token()
	if err != nil {
		return fmt.Errorf("offload: the executor manager %s is not on this host, and wants to see its token proved: %w; copy it from there, where it was made, or name it with %s", d.name(), err, api.TokenVariable)
	}
	binding, err := api.Binding(d.link.conn.Stream().(*tls.Conn))
	if err != nil {
		return fmt.Errorf("offload: the executor manager %s: %w", d.name(), err)
	}
	if !token.Proves(d.welcome.Proof, api.ManagerProof, nonce, d.welcome.Challenge, binding) {
		return fmt.Errorf("offload: who answers as executor manager %s does not know the token in %s: it is another user's, or its file is another one than here, or somebody stands in between; copy the file from there, or name it with %s", d.name(), token.File, api.TokenVariable)
	}
	var proved control.Proved
	if err := d.link.call(ctx, control.TypeProve, theManager, control.Prove{Proof: token.Proof(api.ClientProof, nonce, d.welcome.Challenge, binding)}, &proved); err != nil {
		return fmt.Errorf("offload: the executor manager %s: %w", d.name(), err)
	}
	d.welcome.Cores, d.welcome.Free = proved.Cores, proved.Free
	return nil
}

// announceDirect says hello to the managers on this host, so that they do not lend this rank's core. That
// none at all can be reached is an error. Links come also with one.
func (s *Session) announceDirect(ctx context.Context) (links []*link, name string, _ error) {
	var errs []error
	doors := s.direct.knock(ctx)
	for _, d := range doors {
		switch {
		case d.err != nil:
			errs = append(errs, d.err)
		case d.link.conn.PassesDescriptors():
			links = append(links, d.link)
			name = d.welcome.Node
		default:
			d.close()
		}
	}
	for _, err := range errs {
		if len(errs) == len(doors) || errors.Is(err, ErrVersion) {
			return links, "", errors.Join(errs...)
		}
	}
	return links, name, nil
}

// directPause is how long to wait before asking again for cores that others have: nobody tells when they
// come free.
const directPause = 100 * time.Millisecond

// settleDirect has managers of the database grant berths: all of them, or none.
func (l *Lease) settleDirect(ctx context.Context, executors []*Executor, wait time.Duration) error {
	until := time.Now().Add(wait)
	for attempt := 1; ; attempt++ {
		g := &grant{lease: l}
		planned, err := l.openDoors(ctx, g, executors, attempt == 1)
		if err = l.admit(g, err); err == nil {
			return nil
		}
		overtaken := planned && attempt < staleGrants // somebody has taken what had been free
		if !errors.Is(err, ErrNoCapacity) || ctx.Err() != nil || !overtaken && !time.Now().Before(until) {
			return err
		}
		select {
		case <-time.After(min(directPause, max(time.Until(until), time.Millisecond))):
		case <-ctx.Done():
			return err
		}
	}
}

// openDoors opens the sites of a grant. planned tells whether there seemed to be room for all. Managers that
// were absent are waited for if the others have no room, and patient.
func (l *Lease) openDoors(ctx context.Context, g *grant, executors []*Executor, patient bool) (planned bool, err error) {
	ctx, cancel := context.WithCancel(ctx) // the failure of one ends the others
	defer cancel()
	managers := l.session.direct
	doors := managers.knock(ctx)
	shares, err := planDirect(doors, &l.want, len(executors))
	if err != nil && patient && managers.absent.await(ctx) {
		for _, d := range doors {
			d.close()
		}
		doors = managers.knock(ctx)
		shares, err = planDirect(doors, &l.want, len(executors))
	}
	if err != nil {
		for _, d := range doors {
			d.close()
		}
		return false, err
	}
	var first error
	var once sync.Once
	var all sync.WaitGroup
	for i, d := range doors {
		if shares[i] == 0 {
			d.close()
			continue
		}
		s := l.newSite(executors[:shares[i]])
		executors = executors[shares[i]:]
		s.memory = d.share(l.want.cores())
		d.site.Store(s)
		g.sites = append(g.sites, s)
		all.Go(func() {
			if err := s.acquire(ctx, d.link, d.welcome, "", 0); err != nil {
				once.Do(func() {
					first = err
					cancel()
				})
			}
		})
	}
	all.Wait()
	g.id = g.sites[0].name
	return true, first
}
