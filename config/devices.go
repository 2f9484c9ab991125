package config

import (
	"fmt"

	"github.com/sublet-hpc/sublet/devices"
)

func devicesSchema(d *devices.Database) object {
	type identity struct{ node, name string }
	lines := map[identity]int{}
	return object{{
		name: "devices", need: true, means: "the devices of one or more nodes; where none is named, the first is used",
		value: list{
			of: "devices",
			next: func(int) value {
				d.Devices = append(d.Devices, devices.Device{ReceiveBufferSize: devices.DefaultReceiveBufferSize})
				return deviceSchema(&d.Devices[len(d.Devices)-1])
			},
			done: func(r *reader, index, line int, path string) error {
				id := identity{d.Devices[index].Node, d.Devices[index].Name}
				if first := lines[id]; first != 0 && id.name != "" {
					return r.note(line, "%s has the name %q, as the device that ends on line %d has; give each device of a node a name of its own", path, id.name, first)
				}
				lines[id] = line
				return nil
			},
		},
	}}
}

func deviceSchema(d *devices.Device) object {
	return object{
		{name: "name", value: name(&d.Name), need: true, means: "what `rdma_device` names it by: as `ibv_devices` does, or the network interface's name"},
		{name: "ip_address", value: addressOrNone(&d.Address), need: true, means: "its address; empty for devices that have only addresses of their own kind (EFA)"},
		{name: "port", value: portOrAny(&d.Port), means: "the port to listen at where `rdma_device_port` says nothing; 0, the default, is any that is free"},
		{name: "max_inline_data", value: count(&d.MaxInlineData, 0), means: "rFaaS's; Sublet asks the device itself. Default 0"},
		{name: "default_receive_buffer_size", value: count(&d.ReceiveBufferSize, 0), means: "rFaaS's; Sublet posts as many receives as it has slots. Default 32"},
		{name: "netdev", value: nameOrNone(&d.NetDev), means: "the network interface, where the name is that of an RDMA device"},
		{name: "provider", value: oneOf(&d.Provider, devices.Providers...), means: "libfabric's provider. Default: what is usual for such a device"},
		{name: "state", value: oneOf((*string)(&d.State), string(devices.Active), string(devices.Down)), means: "whether it could be used when the file was written"},
		{name: "numa_node", value: optional{&d.NUMANode}, means: "the NUMA node it is near to; -1, or no such key, if it is near to none or that is not known"},
		{name: "node", value: nameOrNone(&d.Node), means: "the node whose device it is, in a file for several nodes. Default: the node that reads the file"},
	}
}

// optional is a number of which -1 is none.
type optional struct{ into **int }

func (o optional) allowed() string { return whole{nil, -1, maxCore}.allowed() }

func (o optional) read(r *reader, path string) error {
	n := -1
	if err := (whole{&n, -1, maxCore}).read(r, path); err != nil {
		return err
	}
	if n >= 0 {
		*o.into = &n
	}
	return nil
}

// ParseDevices reads a devices.json.
func ParseDevices(file string, content []byte) (devices.Database, error) {
	database := devices.Database{}
	if err := parse(file, content, devicesSchema(&database)); err != nil {
		return devices.Database{}, err
	}
	if len(database.Devices) == 0 {
		return devices.Database{}, fmt.Errorf("%s names no device; sublet devices writes a file with those of this machine", file)
	}
	return database, nil
}
