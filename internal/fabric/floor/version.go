package floor

// #include "floor.h"
import "C"

import "fmt"

// LibfabricVersion is that of the library which programs find here, 1.17 for example; empty: there is none.
func LibfabricVersion() string {
	version := uint32(C.floor_libfabric_version())
	if version == 0 {
		return ""
	}
	return fmt.Sprintf("%d.%d", version>>16, version&0xffff)
}
