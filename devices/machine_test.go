package devices

import (
	"io/fs"
	"net/netip"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

// tree is a /sys: "path: content", or "path -> target" for links, one a line.
func tree(lines string) fs.FS {
	files := fstest.MapFS{}
	for line := range strings.Lines(lines) {
		line = strings.TrimSpace(line)
		if name, target, ok := strings.Cut(line, " -> "); ok {
			files[name] = &fstest.MapFile{Data: []byte(target), Mode: fs.ModeSymlink | 0o777}
		} else if name, content, ok := strings.Cut(line, ": "); ok {
			files[name] = &fstest.MapFile{Data: []byte(content + "\n"), Mode: 0o444}
		}
	}
	return files
}

func nic(index int, name, hardware string, addresses ...string) Interface {
	i := Interface{Name: name, Index: index, Hardware: hardware, Up: true}
	for _, a := range addresses {
		i.Addresses = append(i.Addresses, netip.MustParseAddr(a))
	}
	return i
}

func lo() Interface {
	i := nic(1, "lo", "", "127.0.0.1", "::1")
	i.Loopback = true
	return i
}

func node(n int) *int { return &n }

// Devices that every machine has.
var (
	loDevice  = Device{Name: "lo", Address: "127.0.0.1", ReceiveBufferSize: 32, Provider: TCP, State: Active}
	shmDevice = Device{Name: "shm", Address: "127.0.0.1", ReceiveBufferSize: 32, Provider: SharedMemory, State: Active}
)

func TestMachines(t *testing.T) {
	down := false
	for name, c := range map[string]struct {
		machine Machine
		want    []Device
		omitted []string
	}{
		"InfiniBand, two ports of which one is connected, and an Ethernet": {
			machine: Machine{
				Sys: tree(`
					class/infiniband/mlx5_0/device -> ../../../devices/pci0000:40/0000:41:00.0
					devices/pci0000:40/0000:41:00.0/numa_node: 1
					devices/pci0000:40/0000:41:00.0/net/ib0/ifindex: 4
					class/infiniband/mlx5_0/ports/1/state: 4: ACTIVE
					class/infiniband/mlx5_0/ports/1/link_layer: InfiniBand
					class/infiniband/mlx5_1/device -> ../../../devices/pci0000:40/0000:41:00.1
					devices/pci0000:40/0000:41:00.1/numa_node: 1
					devices/pci0000:40/0000:41:00.1/net/ib1/ifindex: 5
					class/infiniband/mlx5_1/ports/1/state: 1: DOWN
					class/infiniband/mlx5_1/ports/1/phys_state: 3: Disabled
					class/net/ib0/ifindex: 4
					class/net/ib0/address: 00:00:10:29
					class/net/ib0/speed: 100000
					class/net/ib0/device -> ../../../devices/pci0000:40/0000:41:00.0
					class/net/eno1/ifindex: 2
					class/net/eno1/address: 0c:42:a1:00:00:01
					class/net/eno1/speed: 1000
					class/net/eno1/device/numa_node: 0`),
				Interfaces: []Interface{
					lo(), nic(2, "eno1", "0c:42:a1:00:00:01", "fe80::1", "10.0.0.5"), nic(4, "ib0", "00:00:10:29", "10.1.0.5"), {Name: "ib1", Index: 5},
				},
				Offers: []Offer{
					{Provider: "verbs", Domain: "mlx5_0", Device: "mlx5_0", Address: "10.1.0.5"},
					{Provider: "verbs;ofi_rxm", Domain: "mlx5_0"},
					{Provider: "tcp", Domain: "ib0", Address: "10.1.0.5"},
					{Provider: "tcp", Domain: "eno1", Address: "10.0.0.5"},
					{Provider: "tcp", Domain: "lo", Address: "127.0.0.1"},
				},
			},
			want: []Device{
				{Name: "mlx5_0", NetDev: "ib0", Address: "10.1.0.5", ReceiveBufferSize: 32, Provider: Verbs, State: Active, NUMANode: node(1)},
				{Name: "ib0", Address: "10.1.0.5", ReceiveBufferSize: 32, Provider: TCP, State: Active, NUMANode: node(1)},
				{Name: "eno1", Address: "10.0.0.5", ReceiveBufferSize: 32, Provider: TCP, State: Active, NUMANode: node(0)},
				loDevice, shmDevice,
			},
			omitted: []string{"mlx5_1: it is down: its port 1 is in state DOWN (Disabled)", "ib1: it is down"},
		},
		"RoCE whose second port is the one that works, and SoftRoCE on another interface": {
			machine: Machine{
				Sys: tree(`
					class/infiniband/rocep61s0/device/numa_node: 0
					class/infiniband/rocep61s0/ports/1/state: 1: DOWN
					class/infiniband/rocep61s0/ports/1/gid_attrs/ndevs/0: ens1f0
					class/infiniband/rocep61s0/ports/2/state: 4: ACTIVE
					class/infiniband/rocep61s0/ports/2/gid_attrs/ndevs/0: ens1f1
					class/infiniband/rxe0/parent: eth0
					class/infiniband/rxe0/ports/1/state: 4: ACTIVE`),
				Interfaces: []Interface{lo(), nic(2, "ens1f1", "02:01", "192.168.0.21"), nic(3, "eth0", "02:02", "fd00::2", "fe80::2")},
			},
			want: []Device{
				{Name: "rocep61s0", NetDev: "ens1f1", Address: "192.168.0.21", ReceiveBufferSize: 32, Provider: Verbs, State: Active, NUMANode: node(0)},
				{Name: "rxe0", NetDev: "eth0", Address: "fd00::2", ReceiveBufferSize: 32, Provider: Verbs, State: Active},
				{Name: "ens1f1", Address: "192.168.0.21", ReceiveBufferSize: 32, Provider: TCP, State: Active},
				{Name: "eth0", Address: "fd00::2", ReceiveBufferSize: 32, Provider: TCP, State: Active},
				loDevice, shmDevice,
			},
		},
		"an RDMA device without an address, and one that libfabric does not serve": {
			machine: Machine{
				Sys: tree(`
					class/infiniband/a/ports/1/state: 4: ACTIVE
					class/infiniband/a/ports/1/gid_attrs/ndevs/0: eth0
					class/infiniband/b/ports/1/state: 4: ACTIVE
					class/infiniband/b/ports/1/gid_attrs/ndevs/0: eth1
					class/infiniband/c/ports/1/state: 4: ACTIVE`),
				Interfaces: []Interface{lo(), nic(2, "eth0", "02:01"), nic(3, "eth1", "02:02", "10.0.0.1")},
				Offers:     []Offer{{Provider: "tcp", Domain: "eth1"}, {Provider: "tcp", Domain: "elsewhere", Address: "127.0.0.1"}},
			},
			want: []Device{
				{Name: "b", NetDev: "eth1", Address: "10.0.0.1", ReceiveBufferSize: 32, State: Active},
				{Name: "eth1", Address: "10.0.0.1", ReceiveBufferSize: 32, Provider: TCP, State: Active},
				loDevice, shmDevice,
			},
			omitted: []string{
				"a: its network interface eth0 has no address here; connections are made by one (ip address add ADDRESS dev eth0)",
				"c: it has no network interface, and so no address to connect to",
				"eth0: it has no address that other hosts could use",
			},
		},
		"Slingshot, one link down": {
			machine: Machine{
				Sys: tree(`
					class/cxi/cxi0/device -> ../../../devices/pci0000:c0/0000:c3:00.0
					devices/pci0000:c0/0000:c3:00.0/numa_node: 3
					devices/pci0000:c0/0000:c3:00.0/net/hsn0/ifindex: 6
					class/cxi/cxi1/device/numa_node: 2
					class/cxi/cxi1/device/net/hsn1/ifindex: 7
					class/cxi/cxi2/device/net/hsn2/ifindex: 8`),
				Interfaces: []Interface{lo(), nic(6, "hsn0", "02:00", "10.253.0.1"), nic(7, "hsn1", "02:01", "10.253.0.2"), {Name: "hsn2", Index: 8}},
				Offers: []Offer{
					{Provider: "cxi", Domain: "cxi0"},
					{Provider: "cxi", Domain: "cxi1", Up: &down},
					{Provider: "tcp", Domain: "hsn0"},
					{Provider: "tcp", Domain: "lo"},
				},
			},
			want: []Device{
				{Name: "cxi0", NetDev: "hsn0", Address: "10.253.0.1", ReceiveBufferSize: 32, Provider: CXI, State: Active, NUMANode: node(3)},
				{Name: "hsn0", Address: "10.253.0.1", ReceiveBufferSize: 32, Provider: TCP, State: Active},
				loDevice, shmDevice,
			},
			omitted: []string{
				"cxi1: it is down: libfabric says so", "cxi2: its network interface hsn2 is down",
				"hsn1: libfabric does not offer provider tcp on it (is FI_TCP_IFACE or FI_PROVIDER set?)", "hsn2: it is down",
			},
		},
		"EFA, which has no network interface of its own": {
			machine: Machine{
				Sys: tree(`
					class/infiniband/rdmap0s6/device -> ../../../devices/pci0000:00/0000:00:06.0
					devices/pci0000:00/0000:00:06.0/driver -> ../../../bus/pci/drivers/efa
					devices/pci0000:00/0000:00:06.0/numa_node: 0
					class/infiniband/rdmap0s6/ports/1/state: 4: ACTIVE
					class/net/ens5/ifindex: 2
					class/net/ens5/address: 0a:00
					class/net/ens5/speed: -1`),
				Interfaces: []Interface{lo(), nic(2, "ens5", "0a:00", "172.31.0.9")},
				Offers:     []Offer{{Provider: "efa", Domain: "rdmap0s6-rdm"}, {Provider: "tcp", Domain: "ens5"}, {Provider: "tcp", Domain: "lo"}},
			},
			want: []Device{
				{Name: "rdmap0s6", ReceiveBufferSize: 32, Provider: EFA, State: Active, NUMANode: node(0)},
				{Name: "ens5", Address: "172.31.0.9", ReceiveBufferSize: 32, Provider: TCP, State: Active},
				loDevice, shmDevice,
			},
		},
		"a cloud's virtio, with a bridge to containers": {
			machine: Machine{
				Sys: tree(`
					class/net/eth0/ifindex: 2
					class/net/eth0/address: 02:fc
					class/net/eth0/device/numa_node: -1
					class/net/docker0/ifindex: 3
					class/net/docker0/address: 02:42
					class/net/docker0/bridge/bridge_id: 8000`),
				Interfaces: []Interface{lo(), nic(2, "eth0", "02:fc", "192.0.2.2"), nic(3, "docker0", "02:42", "172.17.0.1")},
			},
			want:    []Device{{Name: "eth0", Address: "192.0.2.2", ReceiveBufferSize: 32, Provider: TCP, State: Active}, loDevice, shmDevice},
			omitted: []string{"docker0: it is a bridge, to guests and containers of this machine"},
		},
		"a namespace whose /sys is the host's": {
			machine: Machine{
				Sys: tree(`
					class/net/eth0/ifindex: 2
					class/net/eth0/address: 02:fc
					class/net/eth0/device/numa_node: 1
					class/net/eth0/bridge/bridge_id: 8000
					class/infiniband/mlx5_0/ports/1/state: 4: ACTIVE
					class/infiniband/mlx5_0/ports/1/gid_attrs/ndevs/0: ens1`),
				Interfaces: []Interface{lo(), nic(2, "eth0", "aa:bb", "10.77.1.2")},
			},
			want:    []Device{{Name: "eth0", Address: "10.77.1.2", ReceiveBufferSize: 32, Provider: TCP, State: Active}, loDevice, shmDevice},
			omitted: []string{"mlx5_0: its network interface ens1 has no address here; connections are made by one (ip address add ADDRESS dev ens1)"},
		},
		"no /sys at all": {
			machine: Machine{Interfaces: []Interface{lo(), nic(2, "eth0", "02:fc", "192.0.2.2")}},
			want:    []Device{{Name: "eth0", Address: "192.0.2.2", ReceiveBufferSize: 32, Provider: TCP, State: Active}, loDevice, shmDevice},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, omitted := c.machine.Devices()
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("devices (-want +got):\n%s", diff)
			}
			var reasons []string
			for _, o := range omitted {
				reasons = append(reasons, o.String())
			}
			if diff := cmp.Diff(c.omitted, reasons); diff != "" {
				t.Errorf("left out (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNUMANodes(t *testing.T) {
	for name, c := range map[string]struct {
		sys  fs.FS
		want []NUMANode
	}{
		"two nodes of cores with two threads": {
			tree(`
				devices/system/node/has_cpu: 0-1
				devices/system/node/node0/cpulist: 0-1,4-5
				devices/system/node/node0/meminfo: Node 0 MemTotal: 1024 kB
				devices/system/node/node1/cpulist: 2-3,6-7
				devices/system/node/node1/meminfo: Node 1 MemTotal: 2048 kB
				devices/system/node/node10/cpulist: 8
				devices/system/cpu/cpu0/topology/thread_siblings_list: 0,4
				devices/system/cpu/cpu1/topology/thread_siblings_list: 1,5
				devices/system/cpu/cpu4/topology/thread_siblings_list: 0,4
				devices/system/cpu/cpu5/topology/thread_siblings_list: 1,5
				devices/system/cpu/cpu2/topology/thread_siblings_list: 2,6
				devices/system/cpu/cpu3/topology/thread_siblings_list: 3,7
				devices/system/cpu/cpu6/topology/thread_siblings_list: 2,6
				devices/system/cpu/cpu7/topology/thread_siblings_list: 3,7`),
			[]NUMANode{{ID: 0, CPUs: "0-1,4-5", Cores: 2, Memory: 1 << 20}, {ID: 1, CPUs: "2-3,6-7", Cores: 2, Memory: 2 << 20}, {ID: 10, CPUs: "8", Cores: 1}},
		},
		"a kernel without nodes": {tree(`devices/system/cpu/online: 0-3`), []NUMANode{{CPUs: "0-3", Cores: 4}}},
		"nonsense":               {tree(`devices/system/node/node0/cpulist: 5-1,x,99999999-1`), []NUMANode{{CPUs: "5-1,x,99999999-1"}}},
		"no /sys":                {nil, nil},
	} {
		if diff := cmp.Diff(c.want, Machine{Sys: c.sys}.NUMANodes()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// This machine, whatever it is, has a loopback interface, shared memory and cores.
func TestThisMachine(t *testing.T) {
	interfaces, err := Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	machine := Machine{Sys: os.DirFS("/sys"), Interfaces: interfaces}
	found, omitted := machine.Devices()
	t.Logf("devices %+v, left out %v", found, omitted)
	database := Database{Devices: found}
	for _, name := range []string{"lo", "shm"} {
		device, err := database.Find("here", name)
		if err != nil || device.Address != "127.0.0.1" {
			t.Errorf("%+v, %v", device, err)
		}
	}
	for _, device := range found {
		if device.Address == "" && device.Provider != EFA {
			t.Errorf("%s has no address", device.Name)
		}
	}
	cores := 0
	for _, n := range machine.NUMANodes() {
		cores += n.Cores
	}
	if cores == 0 {
		t.Errorf("NUMA nodes %+v have no core", machine.NUMANodes())
	}
}

func TestHasAddress(t *testing.T) {
	machine := Machine{Interfaces: []Interface{lo(), nic(2, "eth0", "", "10.0.0.1", "fe80::1")}}
	for address, want := range map[string]bool{"10.0.0.1": true, "::1": true, "fe80::1%eth0": true, "10.0.0.2": false, "": true, "a-host": true} {
		if machine.HasAddress(address) != want {
			t.Errorf("%q: %v", address, !want)
		}
	}
}

func TestFind(t *testing.T) {
	database := Database{Devices: []Device{{Name: "a", Node: "n1"}, {Name: "b", Node: "n2"}, {Name: "c"}, {Name: "a", Node: "n2"}}}
	for _, c := range []struct{ node, name, want, reason string }{
		{"n1", "", "a", ""},
		{"n2", "", "b", ""},
		{"n3", "", "c", ""},
		{"n2", "a", "a", ""},
		{"n2", "c", "c", ""},
		{"n1", "b", "", `no device "b" of node n1; it has a, c`},
	} {
		device, err := database.Find(c.node, c.name)
		if device.Name != c.want || (err == nil) != (c.reason == "") || err != nil && !strings.Contains(err.Error(), c.reason) {
			t.Errorf("%+v: %+v, %v", c, device, err)
		}
	}
	if _, err := (Database{}).Find("n1", ""); err == nil || !strings.Contains(err.Error(), "no device of node n1; sublet devices writes one") {
		t.Errorf("an empty database: %v", err)
	}
}
