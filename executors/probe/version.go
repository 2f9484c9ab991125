package probe

import (
	"encoding/json"
	"io"

	"github.com/sublet-hpc/sublet/devices"
	"github.com/sublet-hpc/sublet/internal/control"
	"github.com/sublet-hpc/sublet/internal/fabric"
	"github.com/sublet-hpc/sublet/internal/version"
)

// Version writes of which version this program is, and libfabric, as a devices.Versions.
func Version(w io.Writer) error {
	versions := devices.Versions{Sublet: version.Version, Protocol: control.Protocol}
	libfabric, path, err := fabric.LibfabricVersion()
	if err != nil {
		versions.Missing = err.Error()
	}
	versions.Libfabric, versions.Path = libfabric, path
	return json.NewEncoder(w).Encode(versions)
}
