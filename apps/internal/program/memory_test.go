package program

import (
	"strings"
	"testing"
)

func TestRefuse(t *testing.T) {
	const gib = 1 << 30
	two := []claim{{"a", 3 * gib, 4 * gib}, {"b", 3 * gib, 4 * gib}}
	if err := refuse(two); err != nil {
		t.Errorf("one on each node: %v", err)
	}
	err := refuse(append(two, claim{"b", 2 * gib, 4 * gib}))
	if want := "2 of the ranks are on node b and need 5 GiB of memory; there are 4 GiB"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("two on b: %v; want %q", err, want)
	}
	err = refuse(append(two, claim{"c", 6 * gib, 4 * gib}))
	if want := "the rank on node c needs 6 GiB of memory; there are 4 GiB"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("one on c: %v; want %q", err, want)
	}
}
