package offload

import (
	"context"
	"crypto/rand"
	"os"
	"time"

	"github.com/sublet-hpc/sublet/internal/control"
	"github.com/sublet-hpc/sublet/internal/fabric"
	"github.com/sublet-hpc/sublet/internal/pollable"
)

// connect opens the transport that was chosen for the site.
func (b *berth) connect(ctx context.Context, c *connection) (err error) {
	const slots = fabric.DefaultSlots
	switch b.site.transport.name {
	case fabric.Ring:
		ring, err := fabric.NewRing(slots, c.spin >= 0)
		if err != nil {
			return err
		}
		open := control.Open{Wire: fabric.WireVersion, Transport: fabric.Ring, Slots: slots}
		err = b.site.link.call(ctx, control.TypeOpen, c.target(), open, &control.Opened{},
			ring.Files.Memory, ring.Files.Doorbell)
		if err != nil {
			// It may have mapped the ring, but it has not been given a request, and without its
			// ring it is of no use.
			ring.Close()
			return err
		}
		ring.Files.Doorbell.Close() // the executor's now
		c.client, c.closeClient = ring.Client, ring.Close
	default:
		if err := b.connectOFI(ctx, c, slots); err != nil {
			return err
		}
	}
	c.rings = c.client.Path().Transport == fabric.Ring
	c.inFlight = make([]*invocation, slots)
	if tamper := tampering.Load(); tamper != nil {
		(*tamper)(c.client)
	}
	c.doorbell, err = pollable.Copy(c.client.Descriptor(), "doorbell")
	if err != nil {
		c.closeClient()
		return err
	}
	if err = c.probe(ctx); err != nil {
		c.doorbell.Close()
	}
	return err
}

// connectOFI meets the executor over libfabric. It proves itself with a nonce that only this
// lease's control connection has carried.
func (b *berth) connectOFI(ctx context.Context, c *connection, slots int) (err error) {
	nonce := make([]byte, fabric.NonceSize)
	if _, err := rand.Read(nonce); err != nil {
		return err
	}
	way := b.site.transport
	open := control.Open{
		Wire: fabric.WireVersion, Transport: way.name, Slots: slots,
		Provider: way.provider, Address: b.site.address, Nonce: nonce,
	}
	options := fabric.OFIOptions{Transport: way.name, Provider: way.provider, Nonce: nonce, Slots: slots}
	closeBells := func() {}
	var files []*os.File
	if fabric.NeedsBells(way.provider) {
		if options.Bells, err = fabric.NewBells(slots); err != nil {
			return err
		}
		closeBells = options.Bells.Close
		shared := options.Bells.Files()
		files = []*os.File{shared.Memory, shared.Doorbell}
	}
	var opened control.Opened
	if deadline, ok := ctx.Deadline(); ok {
		options.Timeout = max(time.Until(deadline), time.Millisecond)
	}
	alive, enough := b.whileAlive(ctx, c)
	defer enough()
	options.Alive = alive
	if err = b.site.link.call(ctx, control.TypeOpen, c.target(), open, &opened, files...); err == nil {
		if len(files) > 0 {
			files[1].Close() // the executor's now
		}
		options.Name = opened.Name
		c.client, err = fabric.ConnectOFI(options)
	}
	if err != nil {
		closeBells()
		return err
	}
	c.closeClient = func() {
		c.client.Close()
		closeBells()
	}
	return nil
}

// whileAlive is a context that ends with the process that is to be met, as far as that can be seen from
// here, or with its manager.
func (b *berth) whileAlive(ctx context.Context, c *connection) (_ context.Context, enough func()) {
	ctx, cancel := context.WithCancel(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		defer cancel()
		if c.process == nil {
			select {
			case <-b.site.link.closed:
			case <-ctx.Done():
			}
			return
		}
		_ = pollable.Wait(c.process)
	}()
	return ctx, func() {
		cancel()
		if c.process != nil {
			_ = c.process.SetReadDeadline(time.Unix(1, 0)) // the watching ends
		}
		<-watched
		if c.process != nil {
			_ = c.process.SetReadDeadline(time.Time{})
		}
	}
}
