package probe

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"
	"unsafe"

	"github.com/sublet-hpc/sublet/devices"
	"github.com/sublet-hpc/sublet/internal/control"
	"github.com/sublet-hpc/sublet/internal/fabric"
)

const (
	// connectPatience is how long the two ends may take to meet.
	connectPatience = 5 * time.Second
	// calls is how many small round trips are timed.
	calls = 200
	slots = fabric.DefaultSlots
)

// region is the id of the one region of a trial.
const region = 1

// Ask tries a way to the executor at the connection's other end, and sends what came of it.
func Ask(ctx context.Context, conn *control.Conn, way devices.Way) error {
	a := asking{conn: conn, way: way, close: func() {}}
	trial := devices.Trial{Way: way}
	roundTrip, err := a.try(ctx)
	if err != nil {
		trial.Reason = err.Error()
	} else {
		trial.Works, trial.RoundTrip = true, roundTrip
	}
	err = conn.Send(control.TypeTried, 0, 0, trial)
	a.close() // after the result: a network that does not work may not let go either
	return err
}

// asking is the client's end of one trial.
type asking struct {
	conn   *control.Conn
	way    devices.Way
	calls  uint64
	client *fabric.Client
	memory *fabric.Memory
	close  func()
}

func (a *asking) try(ctx context.Context) (time.Duration, error) {
	if err := a.meet(ctx); err != nil {
		return 0, err
	}
	if err := a.introduce(); err != nil {
		return 0, err
	}
	for _, p := range fabric.Probes {
		if _, err := a.call(ctx, p.Size); err != nil {
			return 0, fmt.Errorf("the two ends have met, but with %s: %w", p.Way, err)
		}
	}
	times := make([]time.Duration, calls)
	for i := range times {
		var err error
		if times[i], err = a.call(ctx, fabric.Probes[0].Size); err != nil {
			return 0, err
		}
	}
	slices.Sort(times)
	return times[calls/2], nil
}

// request sends a frame to the executor and decodes its answer.
func (a *asking) request(kind string, body, reply any, files ...*os.File) error {
	a.calls++
	if err := a.conn.Send(kind, a.calls, 0, body, files...); err != nil {
		return err
	}
	frame, err := a.conn.Receive()
	if err != nil {
		return fmt.Errorf("waiting for the other end's answer to %s: %w", kind, err)
	}
	defer frame.Close()
	var refused *control.Failed
	if err = frame.Decode(reply); errors.As(err, &refused) {
		return errors.New(refused.Text)
	}
	return err
}

// meet opens the transport.
func (a *asking) meet(ctx context.Context) error {
	open := control.Open{Wire: fabric.WireVersion, Transport: a.way.Transport, Slots: slots}
	if a.way.Transport == fabric.Ring {
		ring, err := fabric.NewRing(slots, true)
		if err != nil {
			return err
		}
		a.client = ring.Client // its memory stays until the process ends, as the executor may use it
		return a.request(control.TypeOpen, open, &control.Opened{}, ring.Files.Memory, ring.Files.Doorbell)
	}
	open.Provider, open.Address, open.Nonce = a.way.Provider, a.way.Address, make([]byte, fabric.NonceSize)
	if _, err := rand.Read(open.Nonce); err != nil {
		return err
	}
	options := fabric.OFIOptions{
		Transport: a.way.Transport, Provider: a.way.Provider, Nonce: open.Nonce, Slots: slots, Timeout: connectPatience, Alive: ctx,
	}
	var files []*os.File
	if fabric.NeedsBells(a.way.Provider) {
		bells, err := fabric.NewBells(slots)
		if err != nil {
			return err
		}
		shared := bells.Files()
		options.Bells, files = bells, []*os.File{shared.Memory, shared.Doorbell}
	}
	var opened control.Opened
	if err := a.request(control.TypeOpen, open, &opened, files...); err != nil {
		return err
	}
	options.Name = opened.Name
	client, err := fabric.ConnectOFI(options)
	if err != nil {
		return err
	}
	a.client, a.close = client, client.Close
	return nil
}

// introduce makes memory for the payloads and gives it to the executor.
func (a *asking) introduce() (err error) {
	largest := fabric.Probes[len(fabric.Probes)-1].Size
	if a.memory, err = fabric.NewMemory(fabric.Buffers, 2*largest); err != nil {
		return err
	}
	here, err := a.client.Attach(region, a.memory)
	if err != nil {
		return err
	}
	m := control.Map{Region: region, Size: uint64(len(a.memory.Bytes())), Address: here.Address, Key: here.Key}
	var files []*os.File
	if a.way.Transport == fabric.Ring {
		files = []*os.File{a.memory.File()}
	}
	var mapped control.Mapped
	if err := a.request(control.TypeMap, m, &mapped, files...); err != nil {
		return err
	}
	return a.client.Attached(region, fabric.RemoteMemory{Address: mapped.Address, Key: mapped.Key})
}

// call sends so many bytes there and back, and says how long that took.
func (a *asking) call(ctx context.Context, size int) (time.Duration, error) {
	memory := a.memory.Bytes()
	whole := fabric.Payload{Address: unsafe.Pointer(&memory[0]), Size: len(memory), Region: region}
	begin := time.Now()
	err := a.client.CallProbe(whole, size, ctx.Err)
	return time.Since(begin), err
}
