package api_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/sublet-hpc/sublet/resources/api"
)

func TestCheckName(t *testing.T) {
	for _, name := range []string{"n1", "node-01.cluster.example", "10.1.0.6:10005", "a_b", strings.Repeat("x", 255)} {
		if err := api.CheckName(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{"", "-n", "$(touch x)", "a b", "a\nb", "../x/", "ü", "a;b", strings.Repeat("x", 256)} {
		if err := api.CheckName(name); !errors.Is(err, api.ErrInvalid) {
			t.Errorf("%q: %v", name, err)
		}
	}
}
