package devices

import (
	"cmp"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"strings"
)

// Offer is a provider of libfabric on one network interface, as `sublet-executor --probe list` tells
// of it.
type Offer struct {
	Provider string `json:"provider"`
	Domain   string `json:"domain"`            // of verbs the RDMA device, of tcp the network interface
	Device   string `json:"device,omitempty"`  // the adapter's name
	Address  string `json:"address,omitempty"` // empty where it is none of the internet's
	Up       *bool  `json:"up,omitempty"`      // whether the link is; nil: libfabric does not say
	Speed    uint64 `json:"speed,omitempty"`   // of the link, in bits per second
}

// Machine is what this machine says of itself.
type Machine struct {
	Sys        fs.FS // of /sys; nil: there is none
	Interfaces []Interface
	// Offers are libfabric's; nil: it could not be asked, and devices have the providers that are
	// usual for them.
	Offers []Offer
}

// Omitted is something that is no device, and why.
type Omitted struct {
	Name     string
	Provider string // that would serve it
	Reason   string
}

func (o Omitted) String() string { return o.Name + ": " + o.Reason }

// Devices are the devices that can be used now: RDMA devices first, then network interfaces, the
// fastest first, then the loopback interface and shared memory. Their ports are 0.
func (m Machine) Devices() ([]Device, []Omitted) {
	s := sysfs{m.Sys}
	var found []Device
	var omitted []Omitted
	take := func(device Device, why string) {
		if why != "" {
			omitted = append(omitted, Omitted{Name: device.Name, Provider: device.Provider, Reason: why})
			return
		}
		device.State = Active
		device.ReceiveBufferSize = DefaultReceiveBufferSize
		found = append(found, device)
	}
	for _, a := range s.adapters() {
		take(m.adapter(a))
	}
	for _, i := range m.bySpeed(s) {
		take(m.netdev(s, i))
	}
	take(sharedMemory())
	slices.SortStableFunc(found, func(a, b Device) int { return cmp.Compare(order(a), order(b)) })
	return found, omitted
}

// order puts what is never the best last.
func order(d Device) int {
	switch {
	case d.Provider == SharedMemory:
		return 3
	case d.Name == loopback:
		return 2
	case d.Provider == TCP:
		return 1
	}
	return 0
}

const loopback = "lo"

// adapter makes a device of an adapter, or says why not.
func (m Machine) adapter(a adapter) (device Device, why string) {
	device = Device{Name: a.name, NetDev: a.netdev, Provider: a.provider, NUMANode: a.numa}
	offer, offered := m.offer(a.provider, func(o Offer) bool { return bareDomain(o) == a.name || o.Device == a.name })
	if a.state == Down || a.state == "" && offer.Up != nil && !*offer.Up {
		return device, "it is down: " + cmp.Or(a.reason, "libfabric says so")
	}
	if at := slices.IndexFunc(m.Interfaces, func(i Interface) bool { return i.Name == a.netdev }); at >= 0 {
		if a.state == "" && !m.Interfaces[at].Up {
			return device, "its network interface " + a.netdev + " is down"
		}
		device.Address = m.Interfaces[at].address()
	}
	switch {
	case device.Address != "" || a.provider == EFA:
		if m.Offers != nil && !offered {
			device.Provider = "" // it is one for rFaaS, which uses such a device without libfabric
		}
		return device, ""
	case a.netdev == "":
		return device, "it has no network interface, and so no address to connect to"
	}
	return device, fmt.Sprintf("its network interface %s has no address here; connections are made by one (ip address add ADDRESS dev %[1]s)", a.netdev)
}

// netdev makes a device of a network interface, or says why not.
func (m Machine) netdev(s sysfs, i Interface) (device Device, why string) {
	device = Device{Name: i.Name, Address: i.address(), Provider: TCP}
	if s.same(i) {
		device.NUMANode = s.numaNode("class/net/" + i.Name)
	}
	switch {
	case !i.Up && !i.Loopback:
		return device, "it is down"
	case device.Address == "":
		return device, "it has no address that other hosts could use"
	case s.same(i) && s.exists("class/net/"+i.Name+"/bridge"):
		return device, "it is a bridge, to guests and containers of this machine"
	}
	_, offered := m.offer(TCP, func(o Offer) bool {
		return o.Domain == i.Name || slices.ContainsFunc(i.Addresses, func(a netip.Addr) bool { return a.String() == o.Address })
	})
	if m.Offers != nil && !offered {
		return device, "libfabric does not offer provider tcp on it (is FI_TCP_IFACE or FI_PROVIDER set?)"
	}
	return device, ""
}

// sharedMemory is the device that every machine has, whose transport is Sublet's own.
func sharedMemory() (device Device, why string) {
	return Device{Name: SharedMemory, Address: "127.0.0.1", Provider: SharedMemory}, ""
}

// bySpeed are the interfaces, the fastest first.
func (m Machine) bySpeed(s sysfs) []Interface {
	sorted := slices.Clone(m.Interfaces)
	speed := func(i Interface) uint64 {
		offer, _ := m.offer(TCP, func(o Offer) bool { return o.Domain == i.Name })
		return max(offer.Speed, s.speed(i))
	}
	slices.SortStableFunc(sorted, func(a, b Interface) int { return cmp.Compare(speed(b), speed(a)) })
	return sorted
}

// HasAddress tells whether an address is one of this machine's. Of none, and of names of hosts, it does
// not know better.
func (m Machine) HasAddress(address string) bool {
	wanted, err := netip.ParseAddr(address)
	return err != nil || slices.ContainsFunc(m.Interfaces, func(i Interface) bool { return slices.Contains(i.Addresses, wanted.WithZone("")) })
}

// offer is libfabric's first of a provider that fits.
func (m Machine) offer(provider string, fits func(Offer) bool) (Offer, bool) {
	for _, o := range m.Offers {
		if o.Provider == provider && fits(o) {
			return o, true
		}
	}
	return Offer{}, false
}

// bareDomain is a domain without what libfabric appends for its kinds of endpoints.
func bareDomain(o Offer) string {
	for _, suffix := range []string{"-rdm", "-dgram", "-dgrm", "-xrc"} {
		if bare, ok := strings.CutSuffix(o.Domain, suffix); ok {
			return bare
		}
	}
	return o.Domain
}
