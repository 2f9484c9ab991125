package manager

import (
	"context"
	"crypto/hmac"
	"crypto/tls"
	"errors"
	"fmt"
	"os"

	"github.com/sublet-hpc/sublet/internal/control"
	"github.com/sublet-hpc/sublet/resources/api"
)

// DirectOptions say where a manager without a resource manager is found, and who may lease from it.
type DirectOptions struct {
	Options
	// Listen is the address that clients have in their executors databases, host:port.
	Listen string
	// TokenFile has what clients on other hosts must know; empty: the usual one (api.TokenFile). It is
	// made if it is not there.
	TokenFile string
	Retirement
	// Metrics is an address, host:port, at which Prometheus finds metrics; empty: there are none.
	Metrics string
}

// direct is what a manager knows that grants leases itself to clients of executors databases. It
// believes one on its own host because the kernel says whose it is, and others because they know the
// token. Both ends prove that they do without sending it, over TLS. Nothing says beforehand whose key the manager
// has; so what they prove contains the connection's binding, and is of no use to somebody in between:
//
//	client ◀═ TLS, any key ═══════════════════════════▶ manager
//	client ── hello: boot, nonce ──────────────────────▶ manager
//	client ◀─ welcome: challenge, proof of the manager ─ manager    of the same boot: its socket as well
//	client ── prove: proof of the client ──────────────▶ manager
//	client ◀─ proved: cores, and how many are free ───── manager
type direct struct {
	token api.Token
	reach api.Reach // set before anybody connects
}

// RunDirect is the executor manager of a node that no resource manager lends. It grants leases itself,
// to clients that have its address from an executors database. It returns when ctx ends; then nothing is
// left of any lease.
func RunDirect(ctx context.Context, options DirectOptions) error {
	if err := widenAffinity(); err != nil {
		return err
	}
	if options.Listen == "" {
		return errors.New("executor manager: without a resource manager it needs the address that clients have in their executors database")
	}
	token, err := api.MakeToken(options.TokenFile)
	if err != nil {
		return fmt.Errorf("executor manager: %w", err)
	}
	options.direct = &direct{token: token}
	m, err := New(options.Options)
	if err != nil {
		return err
	}
	defer m.Close()
	collect, err := serveMetrics(m, options.Metrics)
	if err != nil {
		return err
	}
	defer collect.Close()
	d := &daemon{manager: m, log: m.log}
	if err := d.listen(options.Listen); err != nil {
		return err
	}
	defer d.stop()
	m.log.Info("leases are granted without a resource manager", "user", m.node.User, "other_hosts_need", token.File)
	lending, end := context.WithCancel(context.Background())
	defer end()
	m.retire(ctx, lending, options.Retirement, func() {})
	return d.leave()
}

// introduce tells a client by which socket it finds this manager, if it is on the same host, and else
// proves to it who this is, and says what it is to prove itself with.
func (c *client) introduce(hello control.Hello, welcome *control.Welcome) error {
	d := c.manager.direct
	if d.reach.Boot != "" && hello.Boot == d.reach.Boot {
		welcome.Socket, welcome.PID = d.reach.Socket, d.reach.PID
	}
	if c.process != nil {
		welcome.Free = c.manager.capacity.free()
		return nil
	}
	binding, err := api.Binding(c.conn.Stream().(*tls.Conn))
	if err != nil {
		return err
	}
	welcome.Challenge = c.challenge
	if len(hello.Nonce) == api.NonceSize {
		welcome.Proof = d.token.Proof(api.ManagerProof, hello.Nonce, c.challenge, binding)
	}
	c.proof = d.token.Proof(api.ClientProof, hello.Nonce, c.challenge, binding)
	return nil
}

// prove takes the proof of a client on another host that it knows the token, and only then tells it what there
// is to lease.
func (c *client) prove(frame *control.Frame) error {
	var shown control.Prove
	if err := frame.Decode(&shown); err != nil {
		return err
	}
	switch {
	case c.manager.direct == nil:
		return &control.Failed{Code: control.CodeInvalid, Text: fmt.Sprintf("node %s is lent by a resource manager: a client shows its ticket, and proves nothing else", c.manager.node.Name)}
	case c.proof != nil && !hmac.Equal(c.proof, shown.Proof):
		return c.refuseStranger()
	}
	c.proof = nil
	c.identify()
	c.reply(frame, control.TypeProved, control.Proved{Cores: c.manager.capacity.lendable(), Free: c.manager.capacity.free()})
	return nil
}

// refuseStranger is what a client on another host is told that has not proved that it knows the token.
func (c *client) refuseStranger() error {
	c.manager.tally.refusal()
	host, err := os.Hostname()
	if err != nil {
		host = "this host"
	}
	return &control.Failed{Code: control.CodeTicket, Text: fmt.Sprintf(
		"node %s: a client on another host leases here with the token in %s of %s; copy that file, or name it with %s",
		c.manager.node.Name, c.manager.direct.token.File, host, api.TokenVariable)}
}
