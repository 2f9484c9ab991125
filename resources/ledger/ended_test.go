package ledger_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/sublet-hpc/sublet/resources/ledger"
)

// Names at rest are what they were, whoever has thought them up, and the same names are the same bytes.
func TestNamesAtRest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := ledger.Names{}
		for name, seconds := range rapid.MapOf(rapid.String(), rapid.Int64Range(0, 1<<32)).Draw(t, "names") {
			names[name] = noon.Add(time.Duration(seconds) * time.Nanosecond)
		}
		text, err := json.Marshal(names)
		if err != nil {
			t.Fatal(err)
		}
		again, _ := json.Marshal(names)
		if diff := cmp.Diff(string(text), string(again)); diff != "" {
			t.Fatalf("the same names are written as (-once +again):\n%s", diff)
		}
		var read ledger.Names
		if err := json.Unmarshal(text, &read); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if diff := cmp.Diff(names, read); diff != "" {
			t.Fatalf("(-written +read):\n%s", diff)
		}
	})
}

// Snapshots that were written when a name's time was written in words can be read.
func TestNamesAsTheyWereWrittenAtFirst(t *testing.T) {
	var read ledger.Names
	if err := json.Unmarshal([]byte(`{"a":"2026-01-01T12:00:00Z","b@n":"2026-01-01T12:00:01Z"}`), &read); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(ledger.Names{"a": noon, "b@n": noon.Add(time.Second)}, read); diff != "" {
		t.Errorf("(-written +read):\n%s", diff)
	}
	for _, bad := range []string{`{"a":"soon"}`, `["a"]`, `{"a":1.5}`} {
		if err := json.Unmarshal([]byte(bad), &read); err == nil {
			t.Errorf("%s is read as %v", bad, read)
		}
	}
}
