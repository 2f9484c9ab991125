package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"sync"
	"time"
)

// Client talks to the resource manager of a run directory. It finds one that was started again
// there, with another address and token, by itself. It is safe for concurrent use.
type Client struct {
	dir   string
	owner Owner // of the tickets

	mu  sync.Mutex
	way way
}

// way is how a resource manager is reached.
type way struct {
	access AccessFile
	http   *http.Client // for its key
}

// maxReply is the most that an answer may have.
const maxReply = 64 << 20

// callPatience is how long an answer may take, on top of what the request asks to wait.
const callPatience = 10 * time.Second

// Open makes the client of a run directory; an empty name is the one that Directory names. Where
// there is no resource manager the error is ErrNoResourceManager. Nothing is sent yet.
func Open(dir string) (*Client, error) {
	if dir == "" {
		var err error
		if dir, err = Directory(); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrNoResourceManager, err)
		}
	}
	access, err := ReadAccess(dir)
	if err != nil {
		return nil, err
	}
	return &Client{dir: dir, owner: NewOwner(), way: way{access, newHTTP(access.Pin)}}, nil
}

// newHTTP talks to the server with a key. Proxies are for other networks than this.
func newHTTP(pin Pin) *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			DialContext:         (&net.Dialer{Timeout: callPatience}).DialContext,
			TLSClientConfig:     pin.Config(),
			TLSHandshakeTimeout: callPatience,
			MaxIdleConnsPerHost: 2,
			IdleConnTimeout:     30 * time.Second,
		},
		// It redirects nobody; the token is for nobody else.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Close closes idle connections.
func (c *Client) Close() {
	c.present().http.CloseIdleConnections()
}

func (c *Client) present() way {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.way
}

// Access is how the resource manager is reached at present.
func (c *Client) Access() AccessFile {
	return c.present().access
}

// follow goes over to a resource manager that was started again.
func (c *Client) follow(fresh AccessFile) way {
	c.mu.Lock()
	defer c.mu.Unlock()
	if fresh.Pin != c.way.access.Pin {
		c.way.http.CloseIdleConnections()
		c.way.http = newHTTP(fresh.Pin)
	}
	c.way.access = fresh
	return c.way
}

// Prove shows that a ticket is this client's, to the manager that has made the challenge.
func (c *Client) Prove(challenge []byte, ticket string) []byte {
	return c.owner.Proof(challenge, ticket)
}

// Register makes a node known.
func (c *Client) Register(ctx context.Context, register Register) (Registered, error) {
	var reply Registered
	err := c.call(ctx, RoleManager, 0, http.MethodPost, "/v1/nodes", register, &reply)
	return reply, err
}

// Heartbeat says that a node's manager is there.
func (c *Client) Heartbeat(ctx context.Context, node string, beat Heartbeat) (HeartbeatReply, error) {
	var reply HeartbeatReply
	err := c.call(ctx, RoleManager, 0, http.MethodPost, "/v1/nodes/"+url.PathEscape(node)+"/heartbeat", beat, &reply)
	return reply, err
}

// Deregister says that a node's manager ends.
func (c *Client) Deregister(ctx context.Context, node, instance string) error {
	return c.call(ctx, RoleManager, 0, http.MethodDelete, "/v1/nodes/"+url.PathEscape(node)+"?instance="+url.QueryEscape(instance), nil, nil)
}

// Nodes lists those that are registered; boot, if it is not empty, those of that boot of a kernel.
func (c *Client) Nodes(ctx context.Context, boot string) ([]NodeStatus, error) {
	path := "/v1/nodes"
	if boot != "" {
		path += "?boot=" + url.QueryEscape(boot)
	}
	var nodes []NodeStatus
	err := c.call(ctx, RoleClient, 0, http.MethodGet, path, nil, &nodes)
	return nodes, err
}

// Node says what there is to know of one node; also of one that drains and has no manager.
func (c *Client) Node(ctx context.Context, name string) (NodeStatus, error) {
	var node NodeStatus
	err := c.call(ctx, RoleClient, 0, http.MethodGet, "/v1/nodes/"+url.PathEscape(name), nil, &node)
	return node, err
}

// Drain lets a node's leases go on, and no new ones begin.
func (c *Client) Drain(ctx context.Context, name, reason string) error {
	return c.call(ctx, RoleAdmin, 0, http.MethodPost, "/v1/nodes/"+url.PathEscape(name)+"/drain", DrainRequest{Reason: reason}, nil)
}

// Resume ends what Drain began.
func (c *Client) Resume(ctx context.Context, name string) error {
	return c.call(ctx, RoleAdmin, 0, http.MethodPost, "/v1/nodes/"+url.PathEscape(name)+"/resume", nil, nil)
}

// Remove forgets a node and has its manager end. While it has leases that is ErrInUse, but by force.
func (c *Client) Remove(ctx context.Context, name string, force bool) error {
	return c.call(ctx, RoleAdmin, 0, http.MethodPost, "/v1/nodes/"+url.PathEscape(name)+"/remove", RemoveRequest{Force: force}, nil)
}

// Grant asks for a lease, and waits for cores as long as the request says.
func (c *Client) Grant(ctx context.Context, request GrantRequest) (Grant, error) {
	var grant Grant
	request.Owner = c.owner.Public()
	err := c.call(ctx, RoleClient, request.Wait, http.MethodPost, "/v1/leases", request, &grant)
	return grant, err
}

// GrantAll asks for leases of several clients, this one perhaps among them, and waits for cores as long as the request says.
func (c *Client) GrantAll(ctx context.Context, request GrantAllRequest) ([]Grant, error) {
	var all GrantAll
	request.Each.Owner = c.owner.Public()
	err := c.call(ctx, RoleClient, request.Each.Wait, http.MethodPost, "/v1/leases/batch", request, &all)
	if err == nil && len(all.Grants) != len(request.Members) {
		err = Because(ErrVersion, "the resource manager at %s was asked for %d leases and has granted %d; use one version of Sublet everywhere", c.Access().URL, len(request.Members), len(all.Grants))
	}
	return all.Grants, err
}

// Owner is the public half of the key by which this client shows that tickets are its own, for who asks on its behalf.
func (c *Client) Owner() []byte { return c.owner.Public() }

// Renew makes a lease last longer.
func (c *Client) Renew(ctx context.Context, lease string) (Renewed, error) {
	var renewed Renewed
	err := c.call(ctx, RoleClient, 0, http.MethodPost, "/v1/leases/"+url.PathEscape(lease)+"/renew", nil, &renewed)
	return renewed, err
}

// End has the executor managers end a lease; its cores are free when nothing of it runs any more, within
// seconds.
func (c *Client) End(ctx context.Context, lease string) error {
	return c.call(ctx, RoleAdmin, 0, http.MethodPost, "/v1/leases/"+url.PathEscape(lease)+"/end", nil, nil)
}

// Release gives a lease back of which nothing runs: its cores are free at once.
func (c *Client) Release(ctx context.Context, lease string) error {
	return c.call(ctx, RoleClient, 0, http.MethodDelete, "/v1/leases/"+url.PathEscape(lease), nil, nil)
}

// Explain says what a request for a lease waits for, or where a lease is.
func (c *Client) Explain(ctx context.Context, id string) (Explanation, error) {
	var explanation Explanation
	err := c.call(ctx, RoleClient, 0, http.MethodGet, "/v1/leases/"+url.PathEscape(id)+"/explain", nil, &explanation)
	return explanation, err
}

// Bill says what accounts have used and what it costs; an empty account means all, a zero time all that was
// ever used. Of an account that has never used anything the error is ErrUnknownAccount.
func (c *Client) Bill(ctx context.Context, account string, since time.Time) (Bill, error) {
	query := url.Values{}
	if account != "" {
		query.Set("account", account)
	}
	if !since.IsZero() {
		query.Set("since", since.Format(time.RFC3339Nano))
	}
	var bill Bill
	err := c.call(ctx, RoleClient, 0, http.MethodGet, "/v1/bill?"+query.Encode(), nil, &bill)
	return bill, err
}

// Status is the resource manager at a glance.
func (c *Client) Status(ctx context.Context) (Status, error) {
	var status Status
	err := c.call(ctx, RoleClient, 0, http.MethodGet, "/v1/status", nil, &status)
	return status, err
}

// Lease says what there is to know of one that lasts.
func (c *Client) Lease(ctx context.Context, id string) (Lease, error) {
	var lease Lease
	err := c.call(ctx, RoleClient, 0, http.MethodGet, "/v1/leases/"+url.PathEscape(id), nil, &lease)
	return lease, err
}

// Leases lists those that last.
func (c *Client) Leases(ctx context.Context) ([]Lease, error) {
	var leases []Lease
	err := c.call(ctx, RoleClient, 0, http.MethodGet, "/v1/leases", nil, &leases)
	return leases, err
}

// call sends a request. One that was not answered, or whose token was refused, is sent once more if
// the run directory names another resource manager by now.
func (c *Client) call(ctx context.Context, role Role, wait time.Duration, method, path string, body, reply any) error {
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return fmt.Errorf("asking the resource manager: %w", err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, wait+callPatience)
	defer cancel()
	way := c.present()
	err := c.send(ctx, way, role, method, path, text, reply)
	var unreachable *Unreachable
	if err == nil || ctx.Err() != nil || !errors.As(err, &unreachable) && !errors.Is(err, ErrUnauthorized) {
		return err
	}
	fresh, readErr := ReadAccess(c.dir)
	if readErr != nil {
		return errors.Join(err, readErr)
	}
	if fresh == way.access {
		return err
	}
	return c.send(ctx, c.follow(fresh), role, method, path, text, reply)
}

func (c *Client) send(ctx context.Context, way way, role Role, method, path string, body []byte, reply any) error {
	access := way.access
	request, err := http.NewRequestWithContext(ctx, method, access.URL+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("asking the resource manager: %w", err)
	}
	request.Header.Set("Authorization", "Bearer "+access.Tokens.forRole(role))
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := way.http.Do(request)
	if err != nil {
		var urlError *url.Error
		if errors.As(err, &urlError) {
			err = urlError.Err
		}
		return &Unreachable{Directory: c.dir, URL: access.URL, Err: c.hint(access, err)}
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxReply))
	if err != nil {
		return &Unreachable{Directory: c.dir, URL: access.URL, Err: err}
	}
	if response.StatusCode >= 300 {
		refused := &Error{}
		if json.Unmarshal(text, refused) != nil || refused.Code == "" {
			return Because(ErrVersion, "what answers at %s is not a resource manager of this version: %s to %s %s", access.URL, response.Status, method, path)
		}
		return refused
	}
	if reply == nil {
		return nil
	}
	if err := json.Unmarshal(text, reply); err != nil {
		return Because(ErrVersion, "the resource manager at %s answers %s %s with what this version does not understand: %v", access.URL, method, path, err)
	}
	return nil
}

// hint says what is usually wrong.
func (c *Client) hint(access AccessFile, err error) error {
	var unknown *net.DNSError
	if errors.As(err, &unknown) {
		return fmt.Errorf("%w (that name is not known on this host: start it with --listen and an address that this host reaches)", err)
	}
	host, hostErr := os.Hostname()
	target, urlErr := url.Parse(access.URL)
	if hostErr == nil && urlErr == nil && host != access.Host {
		if ip := net.ParseIP(target.Hostname()); ip != nil && ip.IsLoopback() {
			return fmt.Errorf("%w (it runs on %s and listens there for that host alone: start it with --listen and an address that this host reaches)", err, access.Host)
		}
	}
	if len(access.Tokens.Roles()) == 1 {
		return fmt.Errorf("%w (this file was handed out: if the resource manager has another address or key by now, have a new one made: sublet access)", err)
	}
	return err
}
