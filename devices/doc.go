// Package devices is the device database: by which network interfaces a machine can be reached, and
// which of its NUMA nodes each is near.
//
//	interfaces, err := devices.Interfaces()
//	machine := devices.Machine{Sys: os.DirFS("/sys"), Interfaces: interfaces, Offers: offers}
//	found, omitted := machine.Devices()
//
// What there is comes from three sources. The kernel says which network interfaces this process can
// use and their addresses ([Interfaces]). sysfs says which of them belong to an RDMA device, what
// state and kind of link that has, and where it is plugged in. libfabric says which provider serves it
// ([Offer]); it is C, so whoever uses this package has it asked by another program, and without an
// answer each device has the provider that is usual for its kind.
//
// Every source may be of another opinion than the others: in a container or a network namespace sysfs
// can be the host's. What sysfs says of an interface counts only if it means the same one (index and
// hardware address), and a device without an interface or an address of this process is left out.
//
// Two devices every machine has: its loopback interface, and shared memory ("shm"), which needs none.
//
// A [Database] is written as rFaaS's devices.json, which ends with keys of our own that rFaaS passes
// over. Package config reads it.
package devices
