package fabric

// #include <stdlib.h>
// #include "fabric.h"
import "C"

import (
	"errors"
	"unsafe"
)

// Offer is a provider of libfabric on one network interface.
type Offer struct {
	Provider string
	Domain   string // of verbs the RDMA device, of tcp the network interface
	Device   string // the adapter's name, empty where libfabric does not say
	Address  string // empty where it is none of the internet's
	Up       *bool  // whether the link is; nil: libfabric does not say
	Speed    uint64 // of the link, in bits per second; 0: libfabric does not say
}

// maxOffers is more than any machine has.
const maxOffers = 4096

// Offers asks libfabric for everything that it could use here, also what Sublet does not use.
func Offers() ([]Offer, error) {
	raw := C.calloc(maxOffers, C.sizeof_struct_fabric_ofi_offer)
	text := (*C.char)(C.calloc(1, C.FABRIC_TEXT))
	defer C.free(raw)
	defer C.free(unsafe.Pointer(text))
	if raw == nil || text == nil {
		return nil, errors.New("fabric: out of memory")
	}
	count := C.fabric_ofi_list((*C.struct_fabric_ofi_offer)(raw), maxOffers, text)
	if count < 0 {
		return nil, errors.New("fabric: " + C.GoString(text))
	}
	list := unsafe.Slice((*C.struct_fabric_ofi_offer)(raw), int(count))
	offers := make([]Offer, 0, len(list))
	for i := range list {
		o := &list[i]
		offer := Offer{
			Provider: C.GoString(&o.provider[0]), Domain: C.GoString(&o.domain[0]), Device: C.GoString(&o.device[0]),
			Address: C.GoString(&o.address[0]), Speed: uint64(o.bits_per_second),
		}
		if o.up >= 0 {
			up := o.up > 0
			offer.Up = &up
		}
		offers = append(offers, offer)
	}
	return offers, nil
}
