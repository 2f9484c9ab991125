package devices

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"slices"
)

// Interface is a network interface of this process's network namespace, as the kernel tells of it.
type Interface struct {
	Name      string
	Index     int
	Up        bool // switched on, with a carrier
	Loopback  bool
	Hardware  string // its hardware address; empty if it has none
	Addresses []netip.Addr
}

// Interfaces asks the kernel for the network interfaces.
func Interfaces() ([]Interface, error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("asking for the network interfaces: %w", err)
	}
	list := make([]Interface, 0, len(all))
	for _, one := range all {
		i := Interface{
			Name: one.Name, Index: one.Index, Hardware: one.HardwareAddr.String(),
			Up: one.Flags&net.FlagUp != 0 && one.Flags&net.FlagRunning != 0, Loopback: one.Flags&net.FlagLoopback != 0,
		}
		addresses, err := one.Addrs()
		if err != nil {
			return nil, fmt.Errorf("asking for the addresses of network interface %s: %w", one.Name, err)
		}
		for _, address := range addresses {
			if prefix, err := netip.ParsePrefix(address.String()); err == nil {
				i.Addresses = append(i.Addresses, prefix.Addr())
			}
		}
		list = append(list, i)
	}
	return list, nil
}

// address is the one that others should use: IPv4 before IPv6, of any network before the link's own.
// Empty if there is none that others can use.
func (i Interface) address() string {
	rank := func(a netip.Addr) int {
		switch {
		case a.IsLinkLocalUnicast():
			return 2
		case a.Is4():
			return 0
		}
		return 1
	}
	sorted := slices.Clone(i.Addresses)
	slices.SortStableFunc(sorted, func(a, b netip.Addr) int { return cmp.Compare(rank(a), rank(b)) })
	if len(sorted) == 0 || sorted[0].Is6() && sorted[0].IsLinkLocalUnicast() {
		return "" // the latter needs a zone, which is each host's own
	}
	return sorted[0].String()
}
