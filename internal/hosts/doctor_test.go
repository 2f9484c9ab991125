package hosts_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sublet-hpc/sublet/internal/hosts"
)

// The doctor asks each manager of an executors database, and says of those that can not be leased from why.
func TestDoctorAsksTheManagersOfADatabase(t *testing.T) {
	h := hosts.New(t)
	direct(t, managerEntry{"near", hosts.Address, 10005, 1, 0}, managerEntry{"far", h.Address, 10005, 1, 0}, managerEntry{"gone", h.Address, 10006, 1, 0})
	lendDirect(t, here(), hosts.Address, 10005, "--name", "near")
	lendDirect(t, h.Command(sublet), h.Address, 10005, "--name", "far", "--cores", "1")
	type finding struct{ Check, State, Found, Change string }
	consult := func() map[string]finding {
		t.Helper()
		out, stderr, _ := run(t, "doctor", "--output", "json") // other checks may fail here
		var findings []finding
		if err := json.Unmarshal(out, &findings); err != nil {
			t.Fatalf("%v: %s", err, stderr)
		}
		of := map[string]finding{}
		for _, f := range findings {
			if strings.HasPrefix(f.Check, "database") {
				of[strings.Fields(f.Check + " -")[1]] = f
			}
		}
		return of
	}
	expect := func(of map[string]finding, name, state, found, change string) {
		t.Helper()
		if f := of[name]; f.State != state || !strings.Contains(f.Found, found) || !strings.Contains(f.Change, change) {
			t.Errorf("%s: %+v; want %s, %q, %q", name, f, state, found, change)
		}
	}
	of := consult()
	expect(of, "near", "ok", " free", "")
	expect(of, "far", "ok", "1 of 1 core free", "")
	expect(of, "gone", "warn", "it does not answer", "start it")

	t.Setenv("SUBLET_BIN", t.TempDir()) // no devices are tried any more, which takes seconds each time
	t.Setenv("SUBLET_TOKEN_FILE", filepath.Join(t.TempDir(), "token"))
	of = consult()
	expect(of, "near", "ok", "on this host, where it needs no token", "")
	expect(of, "far", "warn", "wants to see its token proved", "copy the token")
	check(t, os.WriteFile(os.Getenv("SUBLET_TOKEN_FILE"), []byte(strings.Repeat("ab", 32)), 0o600))
	expect(consult(), "far", "warn", "it does not know the token in", "copy the file")

	wrong := filepath.Join(t.TempDir(), "wrong.json")
	check(t, os.WriteFile(wrong, []byte(`{"executors": [{"node": "n"}]}`), 0o600))
	t.Setenv("SUBLET_EXECUTORS_DATABASE", wrong)
	expect(consult(), "-", "fail", "wrong.json:1: executors[0] lacks the key address", "correct it")
}
