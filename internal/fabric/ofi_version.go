package fabric

// #include <stdlib.h>
// #include "fabric.h"
import "C"

import (
	"errors"
	"fmt"
	"unsafe"
)

// LibfabricVersion loads libfabric, and says of which version it is and from which file it came. The
// error says why it can not be loaded.
func LibfabricVersion() (version, path string, err error) {
	text := (*C.char)(C.calloc(1, C.FABRIC_TEXT))
	defer C.free(unsafe.Pointer(text))
	var found C.struct_fabric_ofi_version
	if C.fabric_ofi_version(&found, text) != C.FABRIC_OK {
		return "", "", errors.New("fabric: " + C.GoString(text))
	}
	return fmt.Sprintf("%d.%d", found.major, found.minor), C.GoString(&found.path[0]), nil
}
