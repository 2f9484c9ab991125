package fabric_test

import (
	"bytes"
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sublet-hpc/sublet/internal/control"
	"github.com/sublet-hpc/sublet/internal/fabric"
)

// A library that is called libfabric and is none is said to be so.
func TestNotLibfabric(t *testing.T) {
	dir := t.TempDir()
	source := filepath.Join(dir, "none.c")
	check(t, os.WriteFile(source, []byte("int none;"), 0o644))
	out, err := exec.Command("cc", "-shared", "-o", filepath.Join(dir, "libfabric.so.1"), source).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Setenv("LD_LIBRARY_PATH", dir)
	p := startExecutor(t, peerOptions{})
	failed := p.refused(control.TypeOpen, control.Open{Wire: fabric.WireVersion, Transport: fabric.OFIWrite, Slots: 8, Provider: "tcp", Nonce: make([]byte, fabric.NonceSize)})
	if failed == nil || !strings.Contains(failed.Text, "libfabric.so.1 has no fi_getinfo") {
		t.Errorf("%v", failed)
	}
}

// Linking libfabric would cost every program 0.2 s before main, and end where it is absent.
func TestLibfabricIsNotLinked(t *testing.T) {
	self, err := os.Executable()
	check(t, err)
	file, err := elf.Open(self)
	check(t, err)
	defer file.Close()
	libraries, err := file.ImportedLibraries()
	check(t, err)
	for _, library := range libraries {
		if strings.Contains(library, "fabric") {
			t.Errorf("%s is linked", library)
		}
	}
	symbols, err := file.ImportedSymbols()
	check(t, err)
	for _, symbol := range symbols {
		if strings.HasPrefix(symbol.Name, "fi_") {
			t.Errorf("%s is undefined", symbol.Name)
		}
	}
}

// A provider that wants all that tcp does not want: receives, local registration, addresses, small
// writes, no gathering, no copying, patience. See testdata/awkward.c.
func TestAwkwardProvider(t *testing.T) {
	if os.Getenv("AWKWARD_REAL") != "" {
		t.Fatal("this test runs itself")
	}
	startPeer(t, ofi, peerOptions{slots: 8, hot: -1}) // loads libfabric
	dir := t.TempDir()
	out, err := exec.Command("cc", "-O2", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared", "-o", filepath.Join(dir, "libfabric.so.1"),
		"-Wl,--version-script=testdata/awkward.map", "testdata/awkward.c", "-ldl").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	self, err := os.Executable()
	check(t, err)
	child := exec.Command(self, "-test.run=^(TestSizes|TestPartsOfRegions|TestOrderAndPipelining|TestFailures|TestConstants|TestSleepAndWake|TestLargePipelines|TestMemoryInNoRegion|TestRegionsComeAndGo)$/over_tcp", "-test.v")
	child.Env = append(os.Environ(), "AWKWARD_REAL="+loadedLibfabric(t), "LD_LIBRARY_PATH="+dir)
	out, err = child.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("--- PASS: TestSizes/ofi-write_over_tcp")) || !bytes.Contains(out, []byte("--- PASS: TestSizes/ofi-send_over_tcp")) || !bytes.Contains(out, []byte("awkward: ")) {
		t.Errorf("%v\n%s", err, out)
	}
}

// loadedLibfabric is the path of the library that this process uses.
func loadedLibfabric(t *testing.T) string {
	t.Helper()
	maps, err := os.ReadFile("/proc/self/maps")
	check(t, err)
	for line := range strings.Lines(string(maps)) {
		if at := strings.IndexByte(line, '/'); at >= 0 && strings.Contains(line[at:], "/libfabric.so.1") {
			return strings.TrimSpace(line[at:])
		}
	}
	t.Fatal("libfabric is not loaded")
	return ""
}
