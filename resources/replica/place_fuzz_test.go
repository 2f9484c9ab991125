package replica

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/sublet-hpc/sublet/resources/ledger"
)

// Whatever stands in the files that say whose a ledger is, and in its copy: they are read, or refused as
// damaged or another version's.
func FuzzPlace(f *testing.F) {
	p := Place{Directory: f.TempDir(), Copy: filepath.Join(f.TempDir(), "copy")}
	text, err := image{5, ledger.New()}.encode()
	check(f, err)
	f.Add([]byte(`{"format": 1, "id": "a", "begun": true}`), append([]byte(`{"format": 1, "id": "a", "host": "h"}`+"\n"), text...))
	f.Add([]byte(`{"format": 2}`), []byte(`{"format": 1}`+"\n"))
	f.Add([]byte(`{"format": 1, "id": "", "more": 1}`), text)
	f.Add([]byte(``), []byte(``))
	f.Fuzz(func(t *testing.T, id, kept []byte) {
		check(t, os.WriteFile(filepath.Join(p.Directory, identityName), id, 0o600))
		check(t, os.WriteFile(p.Copy, kept, 0o600))
		identity, err := p.readIdentity()
		if err == nil && (identity.ID == "" || identity.Format != format) || err != nil && !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrVersion) {
			t.Errorf("%q is %+v, %v", id, identity, err)
		}
		copied, err := p.readCopy()
		if err == nil && (copied == nil || copied.ID == "") || err != nil && !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrVersion) {
			t.Errorf("%q is %+v, %v", kept, copied, err)
		}
	})
}
