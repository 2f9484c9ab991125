package replica

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/raft"
	"go.etcd.io/bbolt"
	"pgregory.net/rapid"

	"github.com/sublet-hpc/sublet/resources/ledger"
)

// written makes a directory with a snapshot and entries behind it, and returns the state of each revision.
func written(t testing.TB) (directory string, states map[uint64]*ledger.State) {
	t.Helper()
	directory = t.TempDir()
	r := open(t, directory)
	states = map[uint64]*ledger.State{0: ledger.New()}
	note := func(command ledger.Command) {
		_, err := r.Propose(command)
		check(t, err)
		states[r.revision] = r.State().Clone()
	}
	note(node("n", 1000))
	for i := range 400 {
		note(grant(fmt.Sprint("a", i), 1))
	}
	check(t, r.Mark().Wait(t.Context()))
	check(t, r.raft.Snapshot().Error())
	for i := range 400 {
		note(grant(fmt.Sprint("b", i), 1))
	}
	check(t, r.Close())
	return directory, states
}

// contents are the files below a directory, but for who has it.
func contents(t testing.TB, directory string) map[string]string {
	t.Helper()
	found := map[string]string{}
	check(t, filepath.WalkDir(directory, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || entry.Name() == ownerName {
			return err
		}
		text, err := os.ReadFile(path)
		found[strings.TrimPrefix(path, directory)] = string(text)
		return err
	}))
	return found
}

// restored writes files into a new directory.
func restored(t testing.TB, files map[string]string) string {
	t.Helper()
	directory := t.TempDir()
	for name, text := range files {
		path := filepath.Join(directory, name)
		check(t, os.MkdirAll(filepath.Dir(path), 0o700))
		check(t, os.WriteFile(path, []byte(text), 0o600))
	}
	return directory
}

// oneOf is the path of the only file whose name ends so.
func oneOf(t testing.TB, files map[string]string, suffix string) string {
	t.Helper()
	var found []string
	for name := range files {
		if strings.HasSuffix(name, suffix) {
			found = append(found, name)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%v end in %s", found, suffix)
	}
	return found[0]
}

// cutLog is a length at which a log lacks its last page, and has all that it takes to open it.
func cutLog(t testing.TB, directory string) int {
	t.Helper()
	log, err := bbolt.Open(filepath.Join(directory, logName), 0o600, &bbolt.Options{ReadOnly: true})
	check(t, err)
	defer log.Close()
	var size int
	check(t, log.View(func(tx *bbolt.Tx) error {
		size = int(tx.Size()) - os.Getpagesize()
		return nil
	}))
	return size
}

// What is cut, gone, or of another version is refused with what it is and what to do, and left as it is.
func TestDamagedDirectories(t *testing.T) {
	directory, _ := written(t)
	good := contents(t, directory)
	log, state, meta := oneOf(t, good, "raft.db"), oneOf(t, good, "state.bin"), oneOf(t, good, "meta.json")
	for name, c := range map[string]struct {
		file, text string
		kind       error
		says       []string
	}{
		"an empty log":            {log, "", ErrDamaged, []string{"raft.db is damaged or cut", "put a copy of the directory back"}},
		"no log":                  {log, "-", ErrDamaged, []string{"raft.db is damaged or cut"}},
		"a log of a few bytes":    {log, good[log][:100], nil, []string{"raft.db is damaged or cut"}},
		"a log of two pages":      {log, good[log][:8192], nil, []string{"raft.db is damaged or cut"}},
		"a log cut in half":       {log, good[log][:len(good[log])/2], nil, []string{"raft.db is damaged or cut"}},
		"a log without its end":   {log, good[log][:cutLog(t, directory)], nil, []string{"raft.db is damaged or cut", "bytes, and had"}},
		"a log that is text":      {log, strings.Repeat("not a log\n", 10000), nil, []string{"raft.db is damaged or cut"}},
		"a cut snapshot":          {state, good[state][:100], ErrDamaged, []string{"snapshot"}},
		"a snapshot of others":    {state, "sublet\x00l\x09" + good[state][9:], nil, []string{"snapshot"}},
		"no snapshot's data":      {state, "-", ErrDamaged, []string{"snapshot"}},
		"an unreadable snapshot":  {meta, "{", ErrDamaged, []string{"the log begins with entry", "the snapshots end with 0"}},
		"no identity":             {"/" + identityName, "-", nil, []string{"no " + identityName, "name an empty directory"}},
		"an unreadable identity":  {"/" + identityName, "{", ErrDamaged, []string{identityName}},
		"an identity of others":   {"/" + identityName, `{"format":2,"shade":1}`, ErrVersion, []string{"format 2, this program reads 1", "start the version"}},
		"an identity of no voter": {"/" + identityName, `{"format":1,"id":"x","begun":true}`, ErrDamaged, []string{"this voter, x, is not among those"}},
	} {
		t.Run(name, func(t *testing.T) {
			files := maps.Clone(good)
			if c.file == meta { // an older snapshot, or none, does not fit to what is left of the log
				files[log] = compacted(t, good)
			}
			files[c.file] = c.text
			if c.text == "-" {
				delete(files, c.file)
			}
			damaged := restored(t, files)
			r, err := Open(Options{Place: Place{Directory: damaged}})
			if err == nil {
				_ = r.Close()
				t.Fatal("it was opened")
			}
			if c.kind != nil && !errors.Is(err, c.kind) || !contains(err, append(c.says, damaged)...) {
				t.Errorf("it is refused with: %v", err)
			}
			if diff := cmp.Diff(names(files), names(contents(t, damaged))); diff != "" {
				t.Errorf("files that were there (-) and are (+):\n%s", diff)
			}
		})
	}
}

func names(files map[string]string) map[string]int {
	sizes := map[string]int{}
	for name, text := range files {
		sizes[name] = len(text)
	}
	return sizes
}

// compacted is the log of a directory without the entries that its snapshot has.
func compacted(t testing.TB, files map[string]string) string {
	t.Helper()
	directory := restored(t, files)
	d, err := openDisk(directory, &replay{}, func(err error) { t.Error(err) })
	check(t, err)
	check(t, d.DeleteRange(1, 300))
	check(t, d.close())
	text, err := os.ReadFile(filepath.Join(directory, logName))
	check(t, err)
	return string(text)
}

// forged is a ledger whose last entry was changed, and that entry's index before.
func forged(t *testing.T, change func(*raft.Log)) (directory string, last uint64) {
	t.Helper()
	directory, _ = written(t)
	d, err := openDisk(directory, &replay{}, func(err error) { t.Error(err) })
	check(t, err)
	last, err = d.LastIndex()
	check(t, err)
	var log raft.Log
	check(t, d.GetLog(last, &log))
	change(&log)
	check(t, d.StoreLog(&log))
	check(t, d.close())
	return directory, last
}

// Entries of another version, in a log that is whole.
func TestEntriesOfAnotherVersion(t *testing.T) {
	directory, last := forged(t, func(log *raft.Log) { log.Data[0] = 7 })
	_, err := Open(Options{Place: Place{Directory: directory}})
	if !errors.Is(err, ErrVersion) || !contains(err, fmt.Sprintf("entry %d of the log", last), "version 7, this program reads 1", "start the version of Sublet that wrote it") {
		t.Errorf("it is refused with: %v", err)
	}
}

// A last entry that says that there are billions before it is damage, and is found without memory for as many.
func TestEntriesThatAreNotThere(t *testing.T) {
	directory, _ := forged(t, func(log *raft.Log) { log.Index = 1 << 31 })
	_, err := Open(Options{Place: Place{Directory: directory}})
	if !errors.Is(err, ErrDamaged) || !contains(err, " to 2147483648", directory) {
		t.Errorf("it is refused with: %v", err)
	}
}

// Whatever bytes of the log are not as they were written: it is refused, or it is in a state that it was in;
// nothing panics.
func TestDamagedBytes(t *testing.T) {
	directory, states := written(t)
	good := contents(t, directory)
	log := oneOf(t, good, "raft.db")
	rapid.Check(t, func(rt *rapid.T) {
		files := maps.Clone(good)
		text := []byte(good[log])
		for range rapid.IntRange(1, 4).Draw(rt, "places") {
			at := rapid.IntRange(0, len(text)-1).Draw(rt, "at")
			for i := range min(rapid.IntRange(1, 64).Draw(rt, "bytes"), len(text)-at) {
				text[at+i] ^= rapid.ByteRange(1, 255).Draw(rt, "by")
			}
		}
		files[log] = string(text)
		r, err := Open(Options{Place: Place{Directory: restored(t, files)}})
		if err != nil {
			return
		}
		defer r.Close()
		if diff := cmp.Diff(states[r.revision], r.State()); diff != "" {
			rt.Fatalf("at revision %d it is what it never was (-want +got):\n%s", r.revision, diff)
		}
	})
}

// A disk that fails: nobody is told that something is durable that is not, and the replica says that it has
// failed, and ends.
func TestDiskFails(t *testing.T) {
	directory := t.TempDir()
	r := open(t, directory)
	apply(t, r, node("n", 4))
	apply(t, r, grant("before", 1))
	check(t, r.disk.BoltStore.Close()) // from now on bbolt refuses to write
	if _, err := r.Apply(t.Context(), grant("after", 1)); !errors.Is(err, ErrUnavailable) {
		t.Errorf("a grant that was not written: %v", err)
	}
	<-r.Failed()
	if err := r.Err(); err == nil || !contains(err, directory, "writing the log failed", "start the resource manager again") {
		t.Errorf("it has failed with: %v", err)
	}
	if _, err := r.Propose(grant("later", 1)); !errors.Is(err, ErrUnavailable) {
		t.Errorf("later: %v", err)
	}
	check(t, r.Close())
	again := open(t, directory)
	if leases := again.State().Leases; len(leases) != 1 || leases["before"] == nil {
		t.Errorf("afterwards there are %v", leases)
	}
}
