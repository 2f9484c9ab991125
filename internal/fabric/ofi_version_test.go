package fabric_test

import (
	"os"
	"regexp"
	"testing"

	"github.com/sublet-hpc/sublet/internal/fabric"
)

func TestLibfabricVersion(t *testing.T) {
	version, path, err := fabric.LibfabricVersion()
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`^[12]\.[0-9]+$`).MatchString(version) {
		t.Errorf("version %q", version)
	}
	if _, err := os.Stat(path); err != nil {
		t.Errorf("it is said to come from %q: %v", path, err)
	}
}
