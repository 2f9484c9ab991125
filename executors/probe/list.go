package probe

import (
	"encoding/json"
	"io"

	"github.com/sublet-hpc/sublet/devices"
	"github.com/sublet-hpc/sublet/internal/fabric"
)

// List writes what libfabric offers on this machine, as an array of devices.Offer.
func List(w io.Writer) error {
	all, err := fabric.Offers()
	if err != nil {
		return err
	}
	offers := []devices.Offer{}
	known := map[devices.Offer]bool{}
	for _, o := range all {
		offer := devices.Offer{Provider: o.Provider, Domain: o.Domain, Device: o.Device, Address: o.Address, Speed: o.Speed}
		if known[offer] {
			continue // another kind of endpoint
		}
		known[offer] = true
		offer.Up = o.Up
		offers = append(offers, offer)
	}
	return json.NewEncoder(w).Encode(offers)
}
