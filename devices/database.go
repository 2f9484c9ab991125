package devices

import (
	"fmt"
	"strings"
)

// Database is the content of a devices.json.
type Database struct {
	Devices []Device `json:"devices"`
}

// Device is a network interface, as components of Sublet and of rFaaS name and use it. The first five
// fields are rFaaS's, the others may be missing.
type Device struct {
	Name    string `json:"name"`       // as ibv_devices names it; of others the network interface's
	Address string `json:"ip_address"` // empty if the device has only addresses of its own kind
	Port    int    `json:"port"`       // to listen at if nothing else is said; 0: any that is free
	// MaxInlineData is how many bytes rFaaS sends with a work request; 0 always works.
	MaxInlineData     int `json:"max_inline_data"`
	ReceiveBufferSize int `json:"default_receive_buffer_size"` // receives that rFaaS posts

	NetDev   string `json:"netdev,omitempty"`    // the network interface, if Name is not its name
	Provider string `json:"provider,omitempty"`  // libfabric's: verbs, tcp, cxi, efa, shm; empty: not known
	State    State  `json:"state,omitempty"`     // when the database was written; empty: not known
	NUMANode *int   `json:"numa_node,omitempty"` // nil: not known, or near to none
	Node     string `json:"node,omitempty"`      // the node that it is a device of; empty: any that reads this
}

// State is whether a device can be used.
type State string

// States.
const (
	Active State = "active"
	Down   State = "down"
)

// Providers that Sublet uses.
const (
	Verbs        = "verbs"
	TCP          = "tcp"
	CXI          = "cxi" // Slingshot
	EFA          = "efa" // Elastic Fabric Adapter
	SharedMemory = "shm"
)

// Providers are all of them, the best first.
var Providers = []string{Verbs, CXI, EFA, TCP, SharedMemory}

// DefaultReceiveBufferSize is what rFaaS's generator writes.
const DefaultReceiveBufferSize = 32

// Of are the devices of a node: those that say so, and those that say nothing.
func (d Database) Of(node string) []Device {
	var found []Device
	for _, device := range d.Devices {
		if device.Node == "" || device.Node == node {
			found = append(found, device)
		}
	}
	return found
}

// Find returns a node's device of that name, or its first if the name is empty. The error says which
// there are.
func (d Database) Find(node, name string) (Device, error) {
	there := d.Of(node)
	for _, device := range there {
		if name == "" || device.Name == name {
			return device, nil
		}
	}
	if len(there) == 0 {
		return Device{}, fmt.Errorf("the device database has no device of node %s; sublet devices writes one", node)
	}
	return Device{}, fmt.Errorf("the device database has no device %q of node %s; it has %s", name, node, strings.Join(Names(there), ", "))
}

// Names are the names of devices.
func Names(list []Device) []string {
	names := make([]string, len(list))
	for i, device := range list {
		names[i] = device.Name
	}
	return names
}
