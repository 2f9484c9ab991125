package server

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sublet-hpc/sublet/config"
	"github.com/sublet-hpc/sublet/resources/api"
)

// A book that has outlived its roster: managers go on with heartbeats, and are bound by what is said as before.
func TestRosterLearnsFromTheBook(t *testing.T) {
	b, path := testBook(t), filepath.Join(t.TempDir(), "nodes.json")
	first := newRoster(b, path)
	_, err := first.add("n", config.Addition{Address: "10.0.0.1", Port: 10005, Cores: 1, Memory: 64}, noon)
	check(t, err)
	node := registration("n", "i", 0, 1)
	node.Node.Memory = 1 << 30
	_, err = first.register(node, noon)
	check(t, err)

	second := newRoster(b, path)
	check(t, second.load())
	beats := uint64(0)
	beat := func(occupants map[int]string) error {
		beats++
		_, err := second.heartbeat("n", api.Heartbeat{Instance: "i", Beat: beats, State: api.State{Occupants: occupants}}, noon.Add(time.Second))
		return err
	}
	free := func() (int64, int64) {
		nodes := b.state.Nodes
		return nodes["n"].Free()[api.Cores], nodes["n"].Free()[api.Memory]
	}
	check(t, beat(nil))
	if cores, memory := free(); cores != 1 || memory != 64<<20 {
		t.Errorf("%d cores and %d bytes are free", cores, memory)
	}
	check(t, beat(map[int]string{0: "rank pid 5"})) // the other core is as good
	if cores, _ := free(); cores != 1 || b.state.Nodes["n"].Core(1).Occupant != "" {
		t.Errorf("with a rank on a core %d are free", cores)
	}
	if _, err := second.heartbeat("n", api.Heartbeat{Instance: "another", Beat: 9}, noon); !errors.Is(err, api.ErrUnknownNode) {
		t.Errorf("another manager: %v", err)
	}
	if _, err := second.heartbeat("m", api.Heartbeat{Instance: "i", Beat: 9}, noon); !errors.Is(err, api.ErrUnknownNode) || second.nodes["m"] != nil {
		t.Errorf("an unknown node: %v, %v", err, second.nodes["m"])
	}

	// Taken out and added with other bounds: what its manager offers, only that knows.
	_, err = second.remove("n", config.Addition{}, noon)
	check(t, err)
	_, err = second.add("n", config.Addition{Address: "10.0.0.1", Port: 10005, Cores: 2}, noon)
	check(t, err)
	if err := beat(nil); !errors.Is(err, api.ErrUnknownNode) {
		t.Errorf("it is to register again: %v", err)
	}
	_, err = second.register(node, noon)
	check(t, err)
	if cores, memory := free(); cores != 2 || memory != 1<<30 {
		t.Errorf("%d cores and %d bytes are free", cores, memory)
	}
}

// What is said of a node while it is lent ends no lease, and is not told to have ended one: neither where a manager
// has registered with this resource manager, nor where it did with the one before.
func TestBoundsEndNoLease(t *testing.T) {
	for _, when := range []string{"registered here", "registered before", "registers again by itself"} {
		t.Run(when, func(t *testing.T) {
			b, path, told := testBook(t), filepath.Join(t.TempDir(), "nodes.json"), &bytes.Buffer{}
			b.log = slog.New(slog.NewTextHandler(told, nil))
			r := newRoster(b, path)
			node := registration("n", "i", 0, 1)
			node.Node.Memory = 4 << 30
			_, err := r.register(node, noon)
			check(t, err)
			asked, err := b.ask(api.GrantRequest{Executors: 1, UID: uid, Memory: 1 << 30}, noon)
			check(t, err)
			lease := asked.lease
			if when == "registered before" {
				r = newRoster(b, path)
			}
			node.Held = []api.Held{held(lease, "n")}
			beat := api.Heartbeat{Instance: "i", Beat: 1, State: node.State}
			_, err = r.heartbeat("n", beat, noon)
			check(t, err)
			if when == "registers again by itself" {
				_, err = r.register(node, noon)
				check(t, err)
			}
			_, err = r.add("n", config.Addition{Address: "10.0.0.1", Port: 10005, Cores: 2, Memory: 512}, noon)
			check(t, err)
			memory := func() int64 { return b.state.Nodes["n"].Record.Memory }
			if memory() != 1<<30 {
				t.Errorf("%d bytes are lent at once, where a lease has 1 GiB and 512 MiB are its bound", memory())
			}
			beat.Beat = 2
			if _, err = r.heartbeat("n", beat, noon); errors.Is(err, api.ErrUnknownNode) != (when == "registered before") {
				t.Errorf("its manager is told: %v", err)
			}
			if err != nil { // it does as it is told
				_, err = r.register(node, noon)
				check(t, err)
			}
			if strings.Contains(told.String(), "lease ended") || strings.Contains(told.String(), "come back") || len(b.state.Leases) != 1 {
				t.Errorf("of %d leases it is told:\n%s", len(b.state.Leases), told)
			}

			// When that lease has ended the bound holds.
			_, err = r.heartbeat("n", api.Heartbeat{Instance: "i", Beat: 3, State: api.State{Ended: []string{lease.ID}}}, noon)
			check(t, err)
			if memory() != 512<<20 {
				t.Errorf("%d bytes are lent when the lease has ended", memory())
			}
			if strings.Count(told.String(), "lease ended") != 1 {
				t.Errorf("it is told:\n%s", told)
			}
		})
	}
}

// That the executors database can not be written is said once, and that it can be again.
func TestOutputThatCanNotBeWritten(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "later")
	text := &bytes.Buffer{}
	log := slog.New(slog.NewTextHandler(text, nil))
	r, o := newRoster(testBook(t), ""), output{path: filepath.Join(folder, "executors_database.json")}
	o.follow(r, log)
	o.follow(r, log)
	check(t, os.Mkdir(folder, 0o700))
	o.follow(r, log)
	o.follow(r, log)
	if said := strings.Count(text.String(), "\n"); said != 2 || !strings.Contains(text.String(), "not up to date") || !strings.Contains(text.String(), "up to date again") {
		t.Errorf("it is said:\n%s", text)
	}
	if _, err := os.Stat(o.path); err != nil {
		t.Error(err)
	}
}

// While something said is written to a disk that takes its time, managers are heard all the same.
func TestSlowDiskStopsNobody(t *testing.T) {
	r := newRoster(testBook(t), filepath.Join(t.TempDir(), "nodes.json"))
	_, err := r.register(registration("n", "i", 0, 1), noon)
	check(t, err)
	r.saying.Lock()
	_, err = r.heartbeat("n", api.Heartbeat{Instance: "i", Beat: 1}, noon.Add(time.Second))
	check(t, err)
	r.saying.Unlock()
	_, err = r.add("n", config.Addition{Address: "10.0.0.1", Port: 10005, Cores: 1}, noon.Add(time.Second))
	check(t, err)
	if free := r.book.state.Nodes["n"].Free()[api.Cores]; free != 1 {
		t.Errorf("%d cores are free", free)
	}
}

// What could not be kept was not said.
func TestWhatCanNotBeKept(t *testing.T) {
	r := newRoster(testBook(t), filepath.Join(t.TempDir(), "absent", "nodes.json"))
	_, err := r.add("n", config.Addition{Address: "10.0.0.1", Port: 10005, Cores: 1}, noon)
	if err == nil || !strings.Contains(err.Error(), "keeping the nodes that were added") || len(r.said) != 0 {
		t.Errorf("%v: %v", r.said, err)
	}
}
