package server

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sublet-hpc/sublet/resources/api"
)

// Those who were told a pin and a token go on when the resource manager is started again.
func TestKeysAreKept(t *testing.T) {
	dir := t.TempDir()
	s, stop := running(t, dir)
	before := s.directory.access
	path := filepath.Join(s.Ledger(), keysName)
	info, err := os.Stat(path)
	check(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("%s has mode %v", path, info.Mode())
	}
	stop()
	s, stop = running(t, dir)
	if after := s.directory.access; after.Pin != before.Pin || after.Tokens != before.Tokens {
		t.Error("it has other keys than before")
	}
	stop()
	for _, role := range api.Roles {
		if token := before.Tokens.Of(role); len(token) != 2*tokenSize || strings.Count(strings.Join([]string{before.Tokens.Admin, before.Tokens.Manager, before.Tokens.Client, before.Tokens.Batch}, " "), token) != 1 {
			t.Errorf("the token of %s is not its own", role)
		}
	}
	other, _ := running(t, t.TempDir())
	if other.directory.access.Pin == before.Pin || other.keys.tokens.Admin == before.Tokens.Admin {
		t.Error("two resource managers have the same keys")
	}
}

// Keys that somebody else could have seen or written, or that can not be read, are not used, and not replaced
// without a word; what is wrong with them is said without them.
func TestKeysThatAreRefused(t *testing.T) {
	dir := t.TempDir()
	s, stop := running(t, dir)
	stop()
	path := filepath.Join(s.Ledger(), keysName)
	good, err := os.ReadFile(path)
	check(t, err)
	var kept keysFile
	check(t, json.Unmarshal(good, &kept))
	refused := func(what, want string) {
		t.Helper()
		_, err := Open(Options{Directory: dir})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), kept.Tokens.Admin) {
			t.Errorf("%s: %v", what, err)
		}
		if _, err := api.ReadAccess(dir); err == nil {
			t.Errorf("%s: there is an access.json", what)
		}
	}
	check(t, os.Chmod(path, 0o640))
	refused("others can read it", "only you can read")
	check(t, os.Chmod(path, 0o600))
	for what, text := range map[string]string{
		"cut":             string(good[:len(good)/2]),
		"empty":           "",
		"another version": strings.Replace(string(good), `"version": 1`, `"version": 2`, 1),
		"another key":     strings.Replace(string(good), `"key": "`, `"key": "AAAA`, 1),
		"no token":        strings.Replace(string(good), kept.Tokens.Client, "", 1),
	} {
		check(t, os.WriteFile(path, []byte(text), 0o600))
		refused(what, "is damaged, or of another version of Sublet; remove it")
	}
	check(t, os.Remove(path))
	_, stop = running(t, dir)
	stop()
	left, err := filepath.Glob(filepath.Join(s.Ledger(), ".keys-*"))
	if err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}
