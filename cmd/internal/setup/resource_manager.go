package setup

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/sublet-hpc/sublet/resources/api"
)

// resolvePatience is how long the name of a host may take to be found.
const resolvePatience = 10 * time.Second

// CheckResourceManager makes sure that the resource manager that a file names is the one that the run
// directory leads to: the right to talk to it is there, and it is for no other. A port of 0 is any.
func CheckResourceManager(file, address string, port int, access api.AccessFile) error {
	target, err := url.Parse(access.URL)
	if err != nil {
		return fmt.Errorf("the run directory names the resource manager at %q: %w", access.URL, err)
	}
	if port != 0 && target.Port() != strconv.Itoa(port) {
		return fmt.Errorf("%s names the resource manager's port %d, and the run directory's is at %s; write port %s or 0 there, or name another run directory (SUBLET_DIR)", file, port, target.Host, target.Port())
	}
	ctx, cancel := context.WithTimeout(context.Background(), resolvePatience)
	defer cancel()
	named, err := net.DefaultResolver.LookupHost(ctx, address)
	if err != nil {
		return fmt.Errorf("%s: the resource manager's address: %w", file, err)
	}
	found, err := net.DefaultResolver.LookupHost(ctx, target.Hostname())
	if err != nil {
		return fmt.Errorf("the run directory names the resource manager at %s: %w", target.Host, err)
	}
	if !slices.ContainsFunc(named, func(one string) bool { return slices.Contains(found, one) }) {
		return fmt.Errorf("%s names the resource manager at %s, and the run directory's is at %s; write that address there, or an empty one, or name another run directory (SUBLET_DIR)", file, address, target.Host)
	}
	return nil
}
