package fabric

// #include <stdlib.h>
// #include "fabric.h"
import "C"

import (
	"context"
	"errors"
	"fmt"
	"time"
	"unsafe"
)

// NonceSize is how many bytes a client proves itself with.
const NonceSize = C.WIRE_NONCE

// OFIOptions say how to reach an executor over libfabric.
type OFIOptions struct {
	// Transport is OFIWrite, which is the default, or OFISend.
	Transport string
	// Provider is libfabric's name of it: "tcp", "verbs". Empty: what libfabric names first. It
	// is the one that the executor listens on.
	Provider string
	// Name is what ListenOFI returned on the executor's node.
	Name []byte
	// Nonce is what the executor was told to expect: NonceSize bytes, at random, used once.
	Nonce []byte
	// Slots is a power of two, at most MaxSlots, and the executor's number.
	Slots int
	// Bells wake the ends of a provider that has no descriptor to sleep on; see NeedsBells. They
	// stay the caller's, until the client is closed.
	Bells *Bells
	// Timeout is how long to wait for the executor's answer; 0: DefaultConnectTimeout.
	Timeout time.Duration
	// Alive ends when there is nobody to wait for any more; nil: that is not known.
	Alive context.Context
}

// DefaultConnectTimeout is long enough for an executor that is busy loading libfabric.
const DefaultConnectTimeout = 10 * time.Second

// ConnectOFI makes the client's end of an ofi-write or ofi-send connection and waits until the executor has
// accepted it. It loads libfabric when it is first called; a program that runs where libfabric
// is absent, and a provider that can't be had, get an error that says what there is.
//
// Regions must be told to both ends before requests can name them: Attach here, Map on the
// executor, Attached here; constants are sent by Push. Payloads above 64 KiB must lie in a
// region, smaller ones may lie anywhere.
func ConnectOFI(o OFIOptions) (*Client, error) {
	if o.Transport == "" {
		o.Transport = OFIWrite
	}
	slots, err := newOFISlots(o.Transport, o.Provider, o.Nonce, o.Slots)
	if err != nil {
		return nil, err
	}
	defer slots.freeArguments()
	if o.Bells != nil {
		slots.hang(o.Bells.page(), descriptor(o.Bells.doorbell))
	}
	if o.Timeout <= 0 {
		o.Timeout = DefaultConnectTimeout
	}
	slots.options.milliseconds = C.int(max(o.Timeout.Milliseconds(), 1))
	if o.Alive != nil {
		defer slots.stopWith(o.Alive)()
	}
	if len(o.Name) == 0 || len(o.Name) > C.FABRIC_OFI_NAME {
		slots.close()
		return nil, fmt.Errorf("fabric: an executor's name of %d bytes, 1 to %d are possible", len(o.Name), C.FABRIC_OFI_NAME)
	}
	name := C.CBytes(o.Name)
	defer C.free(name)
	result := &slots.result
	c := C.fabric_ofi_connect(slots.options, (*C.uint8_t)(name), C.size_t(len(o.Name)), &result.provider[0], &result.text[0])
	if c == nil {
		slots.close()
		return nil, fmt.Errorf("fabric: connecting to an executor with provider %q: %s", o.Provider, C.GoString(&result.text[0]))
	}
	client, err := newClient(c, Path{Transport: o.Transport, Provider: C.GoString(&result.provider[0])}, o.Slots)
	if err != nil {
		slots.close()
		return nil, err
	}
	client.attach = &ofiRegions{client: client, memory: map[uint32]*Memory{}}
	client.release = slots.close
	return client, nil
}

// PreloadLibfabric loads libfabric ahead of its first use: Debian's takes 0.3 s. That it can not be had
// is said when it is used.
func PreloadLibfabric() {
	text := (*C.char)(C.calloc(1, C.FABRIC_TEXT))
	defer C.free(unsafe.Pointer(text))
	C.fabric_ofi_preload(text)
}

// OrdersWrites tells whether a provider of libfabric keeps the order of writes, which ofi-write
// relies on. It is an error if the provider can't be had here.
func OrdersWrites(provider string) (bool, error) {
	name := C.CString(provider)
	defer C.free(unsafe.Pointer(name))
	text := (*C.char)(C.calloc(1, C.FABRIC_TEXT))
	defer C.free(unsafe.Pointer(text))
	result := C.fabric_ofi_orders_writes(name, text)
	if result < 0 {
		return false, fmt.Errorf("fabric: provider %q: %s", provider, C.GoString(text))
	}
	return result > 0, nil
}

// ofiSlots are the memory that one end of a connection needs, and what C is called with.
type ofiSlots struct {
	requests, responses *Memory
	options             *C.struct_fabric_ofi_options
	result              struct {
		provider [C.FABRIC_OFI_PROVIDER]C.char
		text     [C.FABRIC_TEXT]C.char
	}
}

func newOFISlots(transport, provider string, nonce []byte, slots int) (*ofiSlots, error) {
	if transport != OFIWrite && transport != OFISend {
		return nil, fmt.Errorf("fabric: %q is no transport over libfabric; there are %s and %s", transport, OFIWrite, OFISend)
	}
	if err := checkSlots(slots); err != nil {
		return nil, err
	}
	if len(nonce) != NonceSize {
		return nil, fmt.Errorf("fabric: a nonce of %d bytes, %d are needed", len(nonce), NonceSize)
	}
	requests, err := newPrivateMemory(Slots, slots*C.WIRE_REQUEST_STRIDE)
	if err != nil {
		return nil, err
	}
	responses, err := newPrivateMemory(Slots, slots*C.WIRE_RESPONSE_STRIDE)
	if err != nil {
		return nil, errors.Join(err, requests.Close())
	}
	s := &ofiSlots{requests: requests, responses: responses}
	if err := errors.Join(requests.Prefault(), responses.Prefault()); err != nil {
		s.close()
		return nil, fmt.Errorf("fabric: touching slots: %w", err)
	}
	s.options = (*C.struct_fabric_ofi_options)(C.calloc(1, C.sizeof_struct_fabric_ofi_options))
	s.options.provider = C.CString(provider)
	s.options.nonce = (*C.uint8_t)(C.CBytes(nonce))
	s.options.requests = unsafe.Pointer(&requests.bytes[0])
	s.options.responses = unsafe.Pointer(&responses.bytes[0])
	s.options.slots = C.uint32_t(slots)
	if transport == OFISend {
		s.options.sends = 1
	}
	return s, nil
}

// hang gives the connection its end of the doorbell.
func (s *ofiSlots) hang(page *C.struct_wire_ring, doorbell int) {
	s.options.bells = page
	s.options.doorbell = C.int(doorbell)
}

// stopWith makes the call return soon when ctx ends. done ends that, before the arguments are freed.
func (s *ofiSlots) stopWith(ctx context.Context) (done func()) {
	abandonment := &s.options.abandonment
	set := make(chan struct{})
	forget := context.AfterFunc(ctx, func() {
		C.fabric_abandon(abandonment)
		close(set)
	})
	return func() {
		if !forget() {
			<-set
		}
	}
}

// freeArguments frees what only the call needed.
func (s *ofiSlots) freeArguments() {
	C.free(unsafe.Pointer(s.options.provider))
	C.free(unsafe.Pointer(s.options.nonce))
	C.free(unsafe.Pointer(s.options))
	s.options = nil
}

// close frees the memory; the connection is closed.
func (s *ofiSlots) close() {
	s.requests.Close()
	s.responses.Close()
}

// ofiRegions registers a session's memory for one connection.
type ofiRegions struct {
	client *Client
	memory map[uint32]*Memory
}

func (r *ofiRegions) failure(what string, region uint32) error {
	return fmt.Errorf("fabric: %s region %d: %s", what, region, C.GoString(&r.client.c.text[0]))
}

func (r *ofiRegions) attach(region uint32, m *Memory) (RemoteMemory, error) {
	if r.client.c == nil {
		return RemoteMemory{}, ErrBroken
	}
	if region == 0 || region >= MaxRegions {
		return RemoteMemory{}, fmt.Errorf("fabric: region %d; a session has at most %d", region, MaxRegions-1)
	}
	if r.memory[region] != nil {
		return RemoteMemory{}, fmt.Errorf("fabric: region %d is attached already", region)
	}
	writable := C.int(1)
	if m.purpose == Constants {
		writable = 0 // an executor has no business there
	}
	var address, key C.uint64_t
	if C.fabric_ofi_attach(r.client.c, C.uint32_t(region), unsafe.Pointer(&m.mapping[0]), C.uint64_t(len(m.bytes)), writable, &address, &key) < 0 {
		return RemoteMemory{}, r.failure("registering", region)
	}
	r.memory[region] = m
	return RemoteMemory{Address: uint64(address), Key: uint64(key)}, nil
}

func (r *ofiRegions) known(region uint32) error {
	if r.client.c == nil {
		return ErrBroken
	}
	if r.memory[region] == nil {
		return fmt.Errorf("fabric: region %d is not attached", region)
	}
	return nil
}

func (r *ofiRegions) attached(region uint32, mirror RemoteMemory) error {
	if err := r.known(region); err != nil {
		return err
	}
	C.fabric_ofi_attached(r.client.c, C.uint32_t(region), C.uint64_t(mirror.Address), C.uint64_t(mirror.Key))
	return nil
}

func (r *ofiRegions) push(region uint32) error {
	if err := r.known(region); err != nil {
		return err
	}
	if r.client.broken != nil {
		return r.client.broken
	}
	if result := C.fabric_ofi_push(r.client.c, C.uint32_t(region)); result < 0 {
		return r.client.failure(result)
	}
	return nil
}

func (r *ofiRegions) detach(region uint32) error {
	if err := r.known(region); err != nil {
		return err
	}
	delete(r.memory, region)
	C.fabric_ofi_detach(r.client.c, C.uint32_t(region))
	return nil
}
