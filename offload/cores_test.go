package offload_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/sublet-hpc/sublet/offload"
	"github.com/sublet-hpc/sublet/resources/api"
)

// On this node's own cores: executors of several are never shared, and what makes no sense is said to.
func TestSeveralCores(t *testing.T) {
	s := session(t)
	for _, c := range []struct {
		want offload.Want
		is   error // nil: any
		text string
	}{
		{offload.Want{CoresPerExecutor: -1}, nil, "executors of -1 cores each (Want.CoresPerExecutor); 1 to"},
		{offload.Want{CoresPerExecutor: api.MaxCoresPerExecutor + 1}, nil, "(Want.CoresPerExecutor); 1 to"},
		{offload.Want{CoresPerExecutor: 2, Oversubscribe: true}, nil, "leave out Want.Oversubscribe or Want.CoresPerExecutor"},
		{offload.Want{CoresPerExecutor: api.MaxCoresPerExecutor}, offload.ErrNoCapacity, "ask for fewer cores each (Want.CoresPerExecutor)"},
	} {
		c.want.Executors, c.want.Library = 1, library
		_, err := s.Lease(within(t), c.want)
		if err == nil || c.is != nil && !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%+v: %v, want %q", c.want, err, c.text)
		}
	}
	l := lease(t, s, 1)
	if e := l.Executors()[0]; len(e.Cores()) != 1 || e.Cores()[0] != e.Core() {
		t.Errorf("an executor of core %d has cores %v", e.Core(), e.Cores())
	}
	check(t, l.Release())
}
