package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/sublet-hpc/sublet/offload"
)

// Cores are shared only where they are this node's own.
func TestWarmSharesItsOwnCoresAlone(t *testing.T) {
	own, lent := t.TempDir(), t.TempDir()
	access := `{"version": 2, "url": "https://127.0.0.1:1", "pin": "sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "tokens": {"client": "t"}}`
	if err := os.WriteFile(filepath.Join(lent, "access.json"), []byte(access), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		directory, variable, flag string
		want                      bool
	}{
		{own, "", "", true},
		{lent, "", "", false},
		{own, "executors_database.json", "", false},
		{own, "", "executors_database.json", false},
	} {
		t.Setenv("SUBLET_DIR", c.directory)
		t.Setenv(offload.DatabaseVariable, c.variable)
		b := benchmarker{executors: c.flag}
		b.settings.Cores = 1
		want, err := b.want()
		if err != nil || want.Oversubscribe != c.want {
			t.Errorf("%+v: %v, %v", c, want.Oversubscribe, err)
		}
	}
}
