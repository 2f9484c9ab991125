package devices

import "time"

// Transports, as internal/fabric names them.
const (
	Ring     = "ring"
	OFIWrite = "ofi-write"
	OFISend  = "ofi-send"
)

// Way is how a rank could reach an executor through a device.
type Way struct {
	Transport string `json:"transport,omitempty"`
	Provider  string `json:"provider"` // libfabric's; memfd of the ring
	Address   string `json:"-"`        // at which the executor listens
}

// Ways are all ways through a device. What its provider can not do is among them: to try tells why.
func (d Device) Ways() []Way {
	var ways []Way
	provider := d.Provider
	switch provider {
	case SharedMemory:
		ways = append(ways, Way{Transport: Ring, Provider: "memfd"})
	case "": // a device of rFaaS's database, or one that libfabric does not serve
		provider = Verbs
	}
	for _, transport := range []string{OFIWrite, OFISend} {
		ways = append(ways, Way{Transport: transport, Provider: provider, Address: d.Address})
	}
	return ways
}

// Environment are the variables by which libfabric's provider takes this device, and not another of
// its kind.
func (d Device) Environment() []string {
	switch {
	case d.Provider == Verbs && d.NetDev != "":
		return []string{"FI_VERBS_IFACE=" + d.NetDev}
	case d.Provider == CXI:
		return []string{"FI_CXI_DEVICE_NAME=" + d.Name}
	}
	return nil
}

// Trial is what came of trying a way: of writing payloads of all kinds to the function that every
// executor has, and comparing what came back.
type Trial struct {
	Way
	Works     bool          `json:"works"`
	Reason    string        `json:"reason,omitempty"`        // why it does not
	RoundTrip time.Duration `json:"round_trip_ns,omitempty"` // the median of 8 bytes each way, in nanoseconds
}

// Versions are those of the program that executors are, and of the libfabric that it loads.
type Versions struct {
	Sublet    string `json:"sublet"`
	Protocol  int    `json:"protocol"`
	Libfabric string `json:"libfabric,omitempty"`
	Path      string `json:"path,omitempty"`    // of libfabric
	Missing   string `json:"missing,omitempty"` // why it can not be loaded
}
