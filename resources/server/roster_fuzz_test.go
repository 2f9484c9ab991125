package server

import (
	"os"
	"path/filepath"
	"testing"
)

// Whatever stands in nodes.json: it is refused, or kept so that it is read as the same.
func FuzzNodesFile(f *testing.F) {
	path := filepath.Join(f.TempDir(), "nodes.json")
	for _, seed := range []string{
		`{"version": 1, "nodes": {"n": {"address": "10.0.0.1", "port": 10005, "cores": 1, "memory": 512}}}`,
		`{"version": 1, "nodes": {"n": {"removed": true}, "": {"nameless": true, "cores": -1}}}`,
		`{"version": 1, "nodes": null}`, `{"version": 2}`, `[]`, ``,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		check(t, os.WriteFile(path, text, 0o600))
		r := newRoster(nil, path)
		if r.load() != nil {
			return
		}
		said := r.said
		check(t, r.keep(said))
		again := newRoster(nil, path)
		check(t, again.load())
		if len(again.said) != len(said) {
			t.Fatalf("%q is kept as %v", text, again.said)
		}
		for name, e := range said {
			if again.said[name] != e {
				t.Errorf("%q: node %q is %+v and then %+v", text, name, e, again.said[name])
			}
		}
	})
}
