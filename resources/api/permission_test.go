package api_test

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sublet-hpc/sublet/resources/api"
)

// Who has another user's HOME is told so, and what to do.
func TestReadAccessInTheHomeOfAnother(t *testing.T) {
	home := filepath.Join(t.TempDir(), "home")
	dir := filepath.Join(home, ".sublet", "current")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(home, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(home, 0o700) })
	if os.Getuid() == 0 { // whom no mode keeps out: this thread looks at files as another user
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := unix.Setfsuid(65534); err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := unix.Setfsuid(0); err != nil {
				t.Error(err)
			}
		}()
	}
	_, err := api.ReadAccess(dir)
	if err == nil || !strings.Contains(err.Error(), "permission denied; set HOME to your home directory, or SUBLET_DIR to a directory of yours") {
		t.Errorf("%v", err)
	}
}
