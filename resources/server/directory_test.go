package server

import (
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sublet-hpc/sublet/resources/api"
)

// A run directory that others can write is not used, and nothing is written through a link that lies in one.
func TestRunDirectoriesThatAreRefused(t *testing.T) {
	refused := func(dir, why string) {
		t.Helper()
		s, err := Open(Options{Directory: dir})
		if err == nil {
			s.listener.Close()
			check(t, s.close())
			t.Fatalf("%s is used", dir)
		}
		if !strings.Contains(err.Error(), why) {
			t.Errorf("%v; does not say %q", err, why)
		}
	}
	open := t.TempDir()
	check(t, os.Chmod(open, 0o777|os.ModeSticky))
	refused(open, "chmod o-w")

	linked, elsewhere := t.TempDir(), filepath.Join(t.TempDir(), "precious")
	check(t, os.Symlink(elsewhere, filepath.Join(linked, "lock")))
	refused(linked, "lock: too many levels of symbolic links")
	if _, err := os.Lstat(elsewhere); err == nil {
		t.Error("a file was made through a link")
	}

	if os.Getuid() == 0 { // only root can give a directory away
		given := t.TempDir()
		check(t, os.Chown(given, 12345, -1))
		refused(given, "belongs to user 12345, not to you")
	}
}

// An address of one link names its interface, and can be read again.
func TestAddressOfALinkIsAURL(t *testing.T) {
	at := &net.TCPAddr{IP: net.ParseIP("fe80::1"), Port: 80, Zone: "eth0"}
	parsed, err := url.Parse(urlOf(at, "host"))
	check(t, err)
	if parsed.Hostname() != "fe80::1%eth0" || parsed.Scheme != "https" {
		t.Errorf("it is %s, of host %q", parsed, parsed.Hostname())
	}
	if all := urlOf(&net.TCPAddr{IP: net.IPv6unspecified, Port: 80}, "host"); all != "https://host:80" {
		t.Errorf("of all interfaces it is %s", all)
	}
}

// What one that was killed has left of the link does not keep the next one out.
func TestLinkOfOneThatWasKilled(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv(api.DirectoryVariable, "")
	d, err := takeDirectory("")
	check(t, err)
	defer func() { check(t, d.leave()) }()
	check(t, os.Symlink("gone", d.link+"."+filepath.Base(d.path)))
	check(t, d.publish(api.AccessFile{Version: api.AccessVersion}))
	if target, err := os.Readlink(d.link); err != nil || target != filepath.Base(d.path) {
		t.Errorf("current links to %q: %v", target, err)
	}
	check(t, os.Remove(d.link))
}
