//go:build asan

package fabric_test

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"github.com/sublet-hpc/sublet/internal/fabric"
)

// planted names the fault that TestPlanted makes, in a process of its own.
const planted = "FABRIC_TEST_PLANTED"

func TestPlanted(t *testing.T) {
	client, err := fabric.NewTrial(fabric.OFIWrite, 1)
	check(t, err)
	switch os.Getenv(planted) {
	case "overflow":
		_, err = client.Submit(&fabric.Request{Input: fabric.Payload{Address: ptr(make([]byte, 4)), Size: 8}})
	case "undefined":
		_, err = fabric.NewTrial(fabric.OFIWrite, 2*fabric.MaxSlots) // past the end of an array, not of its memory
	case "leak":
		// What Go has freed counts as a reference until it is used again: one alone may hide.
		for range 100 {
			_, err = fabric.NewTrial(fabric.OFIWrite, 1)
			check(t, err)
			runtime.GC()
		}
	}
	check(t, err)
	client.Close()
}

// What is built for make sanitize ends at the first fault in the C of this package.
func TestSanitizersSeeFaults(t *testing.T) {
	self, err := os.Executable()
	check(t, err)
	for fault, want := range map[string]string{
		"":          "PASS",
		"overflow":  "ERROR: AddressSanitizer",
		"undefined": "runtime error: index 64 out of bounds",
		"leak":      "ERROR: LeakSanitizer",
	} {
		child := exec.Command(self, "-test.run=^TestPlanted$")
		child.Env = append(os.Environ(), planted+"="+fault)
		out, err := child.CombinedOutput()
		var failed *exec.ExitError
		if !strings.Contains(string(out), want) || errors.As(err, &failed) == (fault == "") {
			t.Errorf("%q: %v\n%s", fault, err, out)
		}
	}
}
