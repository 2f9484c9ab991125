package offload

import (
	"strings"
	"testing"

	"github.com/sublet-hpc/sublet/internal/fabric"
)

func TestChooseTransport(t *testing.T) {
	for _, test := range []struct {
		transport, provider string
		want                transport
		problem             string
	}{
		{"", "", transport{fabric.Ring, ""}, ""},
		{"ring", "", transport{fabric.Ring, ""}, ""},
		{"ofi", "", transport{fabric.OFIWrite, "tcp"}, ""},
		{"ofi-write", "verbs", transport{fabric.OFIWrite, "verbs"}, ""},
		{"", "tcp", transport{fabric.OFIWrite, "tcp"}, ""},
		{"", "shm", transport{fabric.OFIWrite, "shm"}, ""},
		{"ofi", "shm", transport{fabric.OFIWrite, "shm"}, ""},
		{"ofi-send", "", transport{fabric.OFISend, "tcp"}, ""},
		{"ofi-send", "shm", transport{fabric.OFISend, "shm"}, ""},
		{"ofi", "quux", transport{}, "libfabric's provider quux can not be had here"},
		{"ring", "tcp", transport{}, "SUBLET_PROVIDER=tcp"},
		{"carrier-pigeon", "", transport{}, "there are ring, ofi, ofi-write and ofi-send"},
	} {
		t.Setenv("SUBLET_TRANSPORT", test.transport)
		t.Setenv("SUBLET_PROVIDER", test.provider)
		wished, err := readWish()
		var got transport
		if err == nil {
			got, err = between(wished, true)
		}
		if test.problem != "" {
			if err == nil || !strings.Contains(err.Error(), test.problem) {
				t.Errorf("%+v: %v", test, err)
			}
			continue
		}
		if err != nil || got != test.want {
			t.Errorf("%+v: %+v, %v", test, got, err)
		}
	}
}

// With an executor on another host no memory can be shared, whatever is wished.
func TestTransportBetweenHosts(t *testing.T) {
	for _, test := range []struct {
		wish    wish
		want    transport
		problem string
	}{
		{wish{}, transport{fabric.OFIWrite, "tcp"}, ""},
		{wish{"ofi-send", ""}, transport{fabric.OFISend, "tcp"}, ""},
		{wish{"ring", ""}, transport{}, "another host"},
		{wish{"ofi", "shm"}, transport{}, "another host"},
	} {
		got, err := between(test.wish, false)
		if test.problem == "" && (err != nil || got != test.want) || test.problem != "" && (err == nil || !strings.Contains(err.Error(), test.problem)) {
			t.Errorf("%+v: %+v, %v", test, got, err)
		}
	}
}

// Ranks of one job on one node agree on the helper's name; other jobs and users have another.
func TestHelperSocket(t *testing.T) {
	for _, name := range append(jobVariables, rankVariables...) {
		t.Setenv(name, "")
	}
	alone := helperSocket()
	if again := helperSocket(); again != alone {
		t.Errorf("%s, then %s", alone, again)
	}
	t.Setenv("OMPI_COMM_WORLD_RANK", "0")
	t.Setenv("PMIX_NAMESPACE", "1234")
	rank0 := helperSocket()
	t.Setenv("OMPI_COMM_WORLD_RANK", "1")
	if rank1 := helperSocket(); rank1 != rank0 {
		t.Errorf("ranks of one job: %s and %s", rank0, rank1)
	}
	t.Setenv("PMIX_NAMESPACE", "1235")
	if other := helperSocket(); other == rank0 || other == alone {
		t.Errorf("another job has the same helper: %s", other)
	}
	t.Setenv("PMIX_NAMESPACE", "")
	launched := helperSocket()
	t.Setenv("OMPI_COMM_WORLD_RANK", "")
	t.Setenv("PMI_RANK", "3")
	if hydra := helperSocket(); hydra != launched || hydra == alone {
		t.Errorf("ranks of one launcher: %s and %s", launched, hydra)
	}
}

// between is the transport of a rank and an executor.
func between(w wish, sameHost bool) (transport, error) {
	ring, err := w.isRing(sameHost)
	if err != nil {
		return transport{}, err
	}
	if ring {
		return transport{name: fabric.Ring}, nil
	}
	return w.overLibfabric()
}
