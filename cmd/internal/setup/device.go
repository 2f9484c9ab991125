package setup

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/sublet-hpc/sublet/config"
	"github.com/sublet-hpc/sublet/devices"
)

// Device finds a device of this host in a device database; an empty name is the first.
func Device(database, name string) (devices.Device, error) {
	if database == "" {
		return devices.Device{}, fmt.Errorf("the file names a device, and which address that has is in a device database: --device-database devices.json; sublet devices > devices.json writes one")
	}
	known, err := config.Read(database, config.ParseDevices)
	if err != nil {
		return devices.Device{}, err
	}
	host, err := os.Hostname()
	if err != nil {
		return devices.Device{}, fmt.Errorf("the name of this host: %w", err)
	}
	device, err := known.Find(host, name)
	if err != nil {
		return device, fmt.Errorf("%s: %w", database, err)
	}
	return device, nil
}

// UseDevice has libfabric use a device and not another of its kind, in this process and those that it
// starts. What the environment says already goes before, and is returned.
func UseDevice(device devices.Device) (said []string, err error) {
	for _, pair := range device.Environment() {
		name, value, _ := strings.Cut(pair, "=")
		if has := os.Getenv(name); has != "" {
			said = append(said, name+"="+has)
		} else if err := os.Setenv(name, value); err != nil {
			return said, err
		}
	}
	return said, nil
}

// rdmaFolder is where the kernel lists RDMA devices.
const rdmaFolder = "/sys/class/infiniband"

// Provider is libfabric's for an RDMA device; empty: it is none, and the best way that there is will do.
func Provider(device devices.Device) string {
	switch device.Provider {
	case devices.TCP, devices.SharedMemory:
		return ""
	case "": // rFaaS's own database does not say
		if _, err := os.Stat(filepath.Join(rdmaFolder, device.Name)); err != nil {
			return ""
		}
		return devices.Verbs
	}
	return device.Provider
}

// Address is that of a device with a port, or with its own port if that is 0.
func Address(device devices.Device, port int) (string, error) {
	if device.Address == "" {
		return "", fmt.Errorf("device %s has no network address; name one of this host with --listen", device.Name)
	}
	if port == 0 {
		port = device.Port
	}
	return net.JoinHostPort(device.Address, strconv.Itoa(port)), nil
}
