package manager

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sublet-hpc/sublet/internal/control"
)

const elsewhere = "/on/another/host/libtask.so"

func someLibrary(seed uint64, size int) ([]byte, *control.Content) {
	data := make([]byte, size)
	random := rand.NewChaCha8([32]byte{byte(seed)})
	_, _ = random.Read(data)
	sum := sha256.Sum256(data)
	return data, &control.Content{Hash: hex.EncodeToString(sum[:]), Size: int64(size)}
}

// wantContent asks for a lease whose library has that content, and returns when the manager wants it.
func (c *testClient) wantContent(content *control.Content) {
	c.t.Helper()
	r := request(1, elsewhere)
	r.Content = content
	c.send(control.TypeLease, control.Manager, r, os.Stderr)
	var wanted control.Content
	c.expect(control.TypeContent, &wanted)
	if wanted != *content {
		c.t.Fatalf("wanted %+v, not %+v", wanted, *content)
	}
}

func (c *testClient) sendPart(part control.ContentPart) {
	c.t.Helper()
	check(c.t, c.conn.Send(control.TypePart, 0, control.Manager, part))
}

func TestLibraryIsSentOnce(t *testing.T) {
	m := newManager(t, testCores(80, 3))
	data, content := someLibrary(1, control.MaxPart+1000)
	c := welcome(t, m)
	c.wantContent(content)
	c.sendPart(control.ContentPart{Data: data[:control.MaxPart]})
	c.sendPart(control.ContentPart{Offset: control.MaxPart, Data: data[control.MaxPart:]})
	var granted control.Granted
	c.expect(control.TypeGranted, &granted)

	m.libraries.mu.Lock()
	file := m.libraries.kept[0].file
	m.libraries.mu.Unlock()
	kept, err := os.ReadFile(fmt.Sprintf("/proc/self/fd/%d", file.Fd()))
	check(t, err)
	if !bytes.Equal(kept, data) {
		t.Error("another content is kept")
	}
	if _, err := file.WriteAt([]byte("x"), 0); err == nil {
		t.Error("a library can be changed")
	}
	again := request(1, elsewhere)
	again.Content = content
	_, _, err = welcome(t, m).lease(again)
	check(t, err)
}

func TestLibraryThatIsHereIsNotSent(t *testing.T) {
	m := newManager(t, testCores(81, 3))
	data, content := someLibrary(2, 5000)
	path := filepath.Join(t.TempDir(), "libtask.so")
	check(t, os.WriteFile(path, data, 0o600))
	r := request(1, path)
	r.Content = content
	_, _, err := welcome(t, m).lease(r)
	check(t, err)

	other, _ := someLibrary(3, 5000) // of the same length
	check(t, os.WriteFile(path, other, 0o600))
	c := welcome(t, m)
	c.send(control.TypeLease, control.Manager, r, os.Stderr)
	var wanted control.Content
	c.expect(control.TypeContent, &wanted)
}

func TestLibrariesThatDoNotCome(t *testing.T) {
	data, content := someLibrary(4, 3000)
	for name, test := range map[string]struct {
		part control.ContentPart
		want string
	}{
		"other bytes": {control.ContentPart{Data: append(data[1:], 0)}, "has changed since"},
		"a gap":       {control.ContentPart{Offset: 7, Data: data[7:]}, "came for offset 7"},
		"too many":    {control.ContentPart{Data: append(data, 0)}, "3001 bytes came"},
		"none":        {control.ContentPart{}, "0 bytes came"},
		"a problem":   {control.ContentPart{Problem: "the disk is on fire"}, "the disk is on fire"},
	} {
		t.Run(name, func(t *testing.T) {
			m := newManager(t, testCores(82, 2))
			c := welcome(t, m)
			c.wantContent(content)
			c.sendPart(test.part)
			wantCode(t, c.receive().Decode(nil), control.CodeLibrary, test.want)
			c.mustLease(1) // nothing is left of the attempt
		})
	}
	m := newManager(t, testCores(83, 2))
	r := request(1, elsewhere)
	r.Content = &control.Content{Hash: content.Hash, Size: maxLibraries + 1}
	c := welcome(t, m)
	_, _, err := c.lease(r)
	wantCode(t, err, control.CodeLibrary, "1 GiB")
	c.mustLease(1)
	c.release()

	c.wantContent(content)
	c.send(control.TypeRelease, control.Manager, nil) // it is not waited for
	wantCode(t, c.receive().Decode(nil), control.CodeLibrary, "could not be sent")
	if frame := c.receive(); frame.Type != control.TypeReleased {
		t.Errorf("%s instead of a release", frame.Type)
	}
}

// What a client sends beyond the end is of no use, and does not keep the manager from hearing it.
func TestPartsBeyondTheEndAreDropped(t *testing.T) {
	m := newManager(t, testCores(84, 2))
	data, content := someLibrary(5, control.MaxPart)
	c := welcome(t, m)
	c.wantContent(content)
	c.sendPart(control.ContentPart{Data: data})
	for range 3 { // the first comes while the manager still looks at the content
		c.sendPart(control.ContentPart{Offset: content.Size, Data: []byte("more")})
	}
	var granted control.Granted
	c.expect(control.TypeGranted, &granted)
	c.release()
}

// A path may name what has no size and no end; its client says that its own has none either.
func TestContentOfNoFile(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	check(t, unix.Mkfifo(pipe, 0o600))
	m := newManager(t, testCores(85, 2))
	for _, path := range []string{"/dev/zero", pipe} {
		r := request(1, path)
		r.Content = &control.Content{Hash: "none"}
		c := welcome(t, m)
		_, _, err := c.lease(r)
		wantCode(t, err, control.CodeLibrary, "")
		c.mustLease(1) // nothing is left of the attempt
		c.release()
	}
}

func TestOldestLibraryGoes(t *testing.T) {
	s := newLibraries()
	s.limit = 100
	add := func(name string, size int64) *libraryCopy {
		file, err := os.Open(os.DevNull)
		check(t, err)
		c := &libraryCopy{hash: name, size: size, file: file}
		s.keep(c)
		return c
	}
	a, b := add("a", 40), add("b", 40)
	s.giveBack(a)
	s.giveBack(s.use("a")) // b is the oldest now
	c := add("c", 40)
	if s.use("b") != nil {
		t.Error("b is still kept")
	}
	if _, err := b.file.Stat(); err != nil {
		t.Errorf("b's lease has lost it: %v", err)
	}
	s.giveBack(b)
	if _, err := b.file.Stat(); err == nil {
		t.Error("b's file is open")
	}
	if s.use("a") == nil || s.bytes != 80 {
		t.Errorf("a is gone, or %d bytes are kept", s.bytes)
	}
	s.giveBack(a)
	s.giveBack(c)
	s.close()
	for _, c := range []*libraryCopy{a, c} {
		if _, err := c.file.Stat(); err == nil {
			t.Errorf("the file of %s is open", c.hash)
		}
	}
}
