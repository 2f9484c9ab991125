package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/sublet-hpc/sublet/config"
	"github.com/sublet-hpc/sublet/internal/control"
	"github.com/sublet-hpc/sublet/internal/version"
	"github.com/sublet-hpc/sublet/resources/api"
)

// lenderPatience is how long an executor manager may take to say what it lends.
const lenderPatience = 6 * time.Second

// database asks the executor managers of an executors database, as a program that leases from them does.
// Where no database is named there is nothing to say.
func (d *doctor) database(ctx context.Context, path string) []finding {
	const check = "database"
	if path == "" {
		return nil
	}
	file, err := config.Read(path, config.ParseExecutors)
	if err != nil {
		return []finding{fail(check, err.Error(), "correct it, or unset "+databaseVariable)}
	}
	if len(file.Executors) == 0 {
		return []finding{fail(check, path+" names no executor manager", "name some, or unset "+databaseVariable)}
	}
	findings := make([]finding, len(file.Executors))
	var all sync.WaitGroup
	for i, executor := range file.Executors {
		all.Go(func() { findings[i] = d.judgeLender(ctx, executor) })
	}
	all.Wait()
	if slices.ContainsFunc(findings, func(f finding) bool { return f.State == fine }) {
		for i := range findings { // programs do without the others
			if findings[i].State == trouble {
				findings[i].State = doubt
			}
		}
	}
	return findings
}

func (d *doctor) judgeLender(ctx context.Context, executor config.Executor) finding {
	address := net.JoinHostPort(executor.Address, strconv.Itoa(executor.Port))
	name := address
	if executor.Node != "" {
		name = executor.Node + " at " + address
	}
	ctx, cancel := context.WithTimeout(ctx, lenderPatience)
	defer cancel()
	lends, err := d.askLender(ctx, address)
	check := "database " + name
	var refused *lenderError
	switch {
	case errors.As(err, &refused):
		return fail(check, refused.found, refused.change)
	case err != nil:
		return fail(check, "it does not answer: "+err.Error(), "start it: sublet executor-manager -c FILE --device-database FILE --skip-resource-manager; or correct the database")
	}
	return ok(check, "%s", lends)
}

// lenderError is what is wrong with a manager that answers.
type lenderError struct{ found, change string }

func (e *lenderError) Error() string { return e.found }

// askLender says what a manager lends. One on this host knows us by the kernel's word; to others it is proved
// that we know the token, as they do.
func (d *doctor) askLender(ctx context.Context, address string) (string, error) {
	var secured *tls.Conn
	conn, err := control.Dial(ctx, address, func(ctx context.Context, stream net.Conn) (net.Conn, error) {
		secured = tls.Client(stream, api.AnyServer()) // whose key it is, its proof says
		err := secured.HandshakeContext(ctx)
		return secured, err
	})
	if err != nil {
		return "", err
	}
	defer conn.Close()
	binding, err := api.Binding(secured)
	if err != nil {
		return "", err
	}
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	ask := func(kind string, body, reply any) error {
		if err := conn.Send(kind, 1, control.Manager, body); err != nil {
			return err
		}
		frame, err := conn.Receive()
		if err != nil {
			return err
		}
		defer frame.Close()
		return frame.Decode(reply)
	}
	hello := control.Hello{Protocol: control.Protocol, Version: version.Version, PID: os.Getpid(), Boot: d.text("proc/sys/kernel/random/boot_id"), Nonce: make([]byte, api.NonceSize)}
	_, _ = rand.Read(hello.Nonce) // never fails
	var welcome control.Welcome
	var failed *control.Failed
	if err = ask(control.TypeHello, hello, &welcome); errors.As(err, &failed) {
		return "", &lenderError{failed.Text, "use one version of Sublet everywhere"}
	} else if err != nil {
		return "", err
	}
	if welcome.Proof == nil {
		return "", &lenderError{"it lends its cores by a resource manager", "set " + api.DirectoryVariable + " to the run directory of that, and use no executors database"}
	}
	token, err := api.ReadToken("")
	known := err == nil && token.Proves(welcome.Proof, api.ManagerProof, hello.Nonce, welcome.Challenge, binding)
	switch {
	case !known && isHere(ctx, welcome):
		return fmt.Sprintf("version %s, on this host, where it needs no token", welcome.Version), nil
	case err != nil:
		return "", &lenderError{"it is on another host, and wants to see its token proved: " + err.Error(), "copy the token from there, or name it with " + api.TokenVariable}
	case !known:
		return "", &lenderError{"it does not know the token in " + token.File, "it is another user's, or its file is another one: copy the file from there, or name it with " + api.TokenVariable}
	}
	var proved control.Proved
	if err := ask(control.TypeProve, control.Prove{Proof: token.Proof(api.ClientProof, hello.Nonce, welcome.Challenge, binding)}, &proved); err != nil {
		return "", err
	}
	return fmt.Sprintf("version %s, %d of %s free", welcome.Version, proved.Free, count(proved.Cores, "core")), nil
}

// isHere tells whether a manager has its socket on this host: one kernel can have several hosts' networks.
func isHere(ctx context.Context, welcome control.Welcome) bool {
	if welcome.Socket == "" {
		return false
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", "@"+welcome.Socket)
	if err != nil {
		return false
	}
	conn.Close()
	return true
}
