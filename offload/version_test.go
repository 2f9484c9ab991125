package offload_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sublet-hpc/sublet/internal/control"
	"github.com/sublet-hpc/sublet/internal/version"
	"github.com/sublet-hpc/sublet/offload"
)

// A helper of another version, which speaks another protocol, is refused with both versions.
func TestOtherVersion(t *testing.T) {
	source, err := filepath.Abs("../internal/control/messages.go")
	check(t, err)
	text, err := os.ReadFile(source)
	check(t, err)
	dir := t.TempDir()
	changed := bytes.Replace(text, fmt.Appendf(nil, "const Protocol = %d", control.Protocol), []byte("const Protocol = 9999"), 1)
	if bytes.Equal(changed, text) {
		t.Fatal("the protocol's number is not where it was")
	}
	check(t, os.WriteFile(filepath.Join(dir, "messages.go"), changed, 0o644))
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{source: filepath.Join(dir, "messages.go")}})
	check(t, err)
	check(t, os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o644))
	out, err := exec.Command("go", "build", "-buildvcs=false", "-overlay", filepath.Join(dir, "overlay.json"),
		"-ldflags", "-X github.com/sublet-hpc/sublet/internal/version.Version=77.0", "-o", dir, "../cmd/sublet").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	check(t, os.Symlink(filepath.Join(os.Getenv("SUBLET_BIN"), "sublet-executor"), filepath.Join(dir, "sublet-executor")))

	t.Setenv("SUBLET_BIN", dir)
	t.Setenv("SLURM_JOB_ID", "of-another-version") // another job has another helper
	_, err = offload.Connect(within(t))
	if !errors.Is(err, offload.ErrVersion) || !strings.Contains(err.Error(), "77.0") || !strings.Contains(err.Error(), version.Version) {
		t.Errorf("a helper of version 77.0: %v", err)
	}
}
