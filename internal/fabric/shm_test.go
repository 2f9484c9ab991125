package fabric_test

import (
	"bytes"
	"crypto/rand"
	"os"
	"os/exec"
	"testing"

	"github.com/sublet-hpc/sublet/internal/fabric"
)

// Once two ends have met, whoever is killed leaves nothing in shared memory.
func TestSharedMemoryIsUnlinked(t *testing.T) {
	for _, transport := range []transport{shm, shmSends} {
		p := startPeer(t, transport, peerOptions{slots: 8, hot: -1})
		sharedFiles(t)
		buffer := p.region(fabric.Buffers, 1<<20)
		p.invoke("echo", buffer.payload(0, 100_000), buffer.payload(200_000, 100_000))
		p.kill()
		sharedFiles(t)
	}
}

// An executor that was killed before its client came has left its file: the client removes it.
func TestNobodyAnswersInSharedMemory(t *testing.T) {
	o := peerOptions{slots: 8, path: fabric.OFIWrite, provider: "shm"}
	p := startExecutor(t, o)
	name, nonce := p.listen(o)
	p.kill()
	client, err := fabric.ConnectOFI(fabric.OFIOptions{Provider: "shm", Name: name, Nonce: nonce, Slots: 8, Bells: p.bells, Timeout: patience / 40})
	if err == nil {
		client.Close()
		t.Fatal("connected with a process that is dead")
	}
	sharedFiles(t)
}

// A stranger does not get further over shared memory either, and the executor waits on.
func TestStrangersInSharedMemory(t *testing.T) {
	o := peerOptions{slots: 8, hot: -1, path: fabric.OFIWrite, provider: "shm"}
	p := startExecutor(t, o)
	name, nonce := p.listen(o)
	connect := func(nonce []byte) (*fabric.Client, error) {
		return fabric.ConnectOFI(fabric.OFIOptions{Provider: "shm", Name: name, Nonce: nonce, Slots: 8, Bells: p.bells, Timeout: patience})
	}
	for range 3 {
		wrong := make([]byte, fabric.NonceSize)
		rand.Read(wrong)
		if client, err := connect(wrong); err == nil {
			client.Close()
			t.Fatal("a client with a wrong nonce was accepted")
		}
	}
	client, err := connect(nonce)
	check(t, err)
	closeBells := p.close
	p.client, p.close = client, func() { client.Close(); closeBells() }
	buffer := p.region(fabric.Buffers, 16)
	p.invoke("echo", buffer.payload(0, 8), buffer.payload(8, 8))
	sharedFiles(t)
}

func TestSharedMemoryWithoutBells(t *testing.T) {
	_, err := fabric.ConnectOFI(fabric.OFIOptions{Provider: "shm", Name: []byte("\x00\x00\x00\x00fi_shm://nobody"), Nonce: make([]byte, fabric.NonceSize), Slots: 8})
	if err == nil || !bytes.Contains([]byte(err.Error()), []byte("doorbells")) {
		t.Errorf("%v", err)
	}
}

// Where the kernel does not let one process copy from another (containers without the right to
// trace), shm copies in parts, for which both ends have to poll.
func TestSharedMemoryWithoutCopyingAcross(t *testing.T) {
	self, err := os.Executable()
	check(t, err)
	child := exec.Command(self, "-test.run=^(TestSizes|TestPartsOfRegions|TestConstants|TestSleepAndWake|TestLargePipelines)$/over_shm", "-test.v")
	child.Env = append(os.Environ(), "FI_SHM_DISABLE_CMA=1")
	out, err := child.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("--- PASS: TestSizes/ofi-send_over_shm")) {
		t.Errorf("%v\n%s", err, out)
	}
}
