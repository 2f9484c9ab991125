package share

import (
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/sublet-hpc/sublet/offload"
)

var _ pflag.Value = &Share{}

func TestSet(t *testing.T) {
	for text, want := range map[string]struct {
		share      Share
		plan, most float64
		none       bool
	}{
		"auto": {Share{Auto: true}, offload.Auto, 1, false},
		"0":    {Share{}, 0, 0, true},
		"33.5": {Share{Percent: 33.5}, 0.335, 0.335, false},
		"100":  {Share{Percent: 100}, 1, 1, false},
	} {
		got := Share{Auto: true, Percent: 7} // a default
		if err := got.Set(text); err != nil || got != want.share || got.String() != text {
			t.Errorf("%s: %v, %v", text, &got, err)
		}
		if late := len(got.Connecting()) == 1; late != want.share.Auto {
			t.Errorf("%s: it connects late: %v", text, late)
		}
		if got.Plan() != want.plan || got.Most() != want.most || got.None() != want.none {
			t.Errorf("%s: %v, %v, %v", text, got.Plan(), got.Most(), got.None())
		}
	}
}

func TestWrongValues(t *testing.T) {
	for _, text := range []string{"half", "", "50%", "automatic", "-1", "100.1", "NaN", "Inf"} {
		s := Share{Percent: 7}
		if err := s.Set(text); err == nil || !strings.Contains(err.Error(), "auto, or 0 to 100 percent") || s.Percent != 7 {
			t.Errorf("%q: %v, %v", text, &s, err)
		}
	}
}
