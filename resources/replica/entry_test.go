package replica

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/sublet-hpc/sublet/resources/api"
	"github.com/sublet-hpc/sublet/resources/ledger"
)

// samples has a command of each kind.
var samples = []ledger.Command{
	ledger.RegisterNode{
		Node: api.Node{
			Name: "n", UID: 7, User: "ann", Account: "a", Cores: []int{0, 2}, Memory: 1 << 30,
			Reach: api.Reach{Address: "h:1", Boot: "b", Socket: "s", PID: 5},
		},
		Instance: "i", Key: []byte("key"),
	},
	ledger.DrainNode{Node: "n", Reason: "r", At: noon},
	ledger.RemoveNode{Node: "n", At: noon},
	ledger.Occupy{Node: "n", Core: 2, By: "rank"},
	ledger.Vacate{Node: "n", Core: 2},
	ledger.Occupants{Node: "n", By: map[int]string{2: "rank", 0: "other"}},
	ledger.Grant{
		Lease: "l", Node: "n", UID: 7, User: "ann", Account: "a", Executors: 2, Memory: 1 << 26, Oversubscribe: true,
		Keep: 1, KeepMemory: 2, At: noon, Expires: noon,
	},
	ledger.Adopt{Lease: api.Lease{ID: "l", UID: 7, Granted: noon}, Executors: []api.Placed{{Index: 1, Executor: api.Executor{Node: "n", Core: 2, Memory: 3, Replaced: 4}}}},
	ledger.Expire{Leases: []string{"l"}, At: noon, Remember: noon},
	ledger.Replace{Lease: "l", Executor: 1},
	ledger.Lose{Lease: "l", Executor: 1},
	ledger.ReleasePart{Lease: "l", Node: "n", At: noon, Remember: noon},
	ledger.Release{Lease: "l", At: noon, Remember: noon},
	ledger.Remember{Name: "l@n", Until: noon},
	ledger.Forget{At: noon},
	ledger.ResumeNode{Node: "n"},
	ledger.ForgetNode{Node: "n", Force: true, At: noon, Remember: noon},
	ledger.ForgetNode{Node: "n", At: noon, Remember: noon, TurnAway: noon},
	ledger.EndLease{Lease: "l", Until: noon},
	ledger.Grant{Lease: "l", UID: 7, User: "ann", Executors: 2, Placement: api.Spread, At: noon, Expires: noon, Until: noon},
	ledger.Book{Node: "n", At: noon, Used: []api.Used{{
		Lease: "l", User: "ann", Account: "a", Began: noon, Ended: noon,
		Usage: api.Usage{Allocated: api.Uint128{Hi: 1, Lo: 2}, Computing: api.Uint128Of(3), Spinning: api.Uint128Of(4)},
	}}},
	ledger.Settle{Parts: []string{"l@n"}, Lost: true, At: noon},
	ledger.Written{Line: 5},
	ledger.ForgetParts{Parts: []string{"l@n"}},
	ledger.BoundNode{Node: "n", Memory: 1 << 26},
	ledger.Grant{Lease: "l", UID: 7, User: "ann", Executors: 2, CoresPerExecutor: 3, At: noon, Expires: noon},
	ledger.Adopt{Lease: api.Lease{ID: "l", UID: 7, Granted: noon}, Executors: []api.Placed{{Index: 1, Executor: api.Executor{Node: "n", Core: 2, More: []int{3, 5}}}}},
	ledger.RegisterNode{Node: api.Node{Name: "n", UID: 7, Cores: []int{0, 1}, NUMA: map[int]int{0: 0, 1: 1}}, Instance: "i"},
	ledger.Grant{Lease: "l", UID: 7, User: "ann", Executors: 1, KeepNodes: 4, At: noon, Expires: noon},
	ledger.Foresee{Node: "n", Outlook: api.Outlook{Ends: noon, LendsUntil: noon, Leaving: "why", Since: noon}},
	ledger.GrantAll{
		Grant:  ledger.Grant{UID: 7, User: "ann", Account: "a", Executors: 3, Placement: api.Spread, At: noon, Expires: noon},
		Shares: []ledger.Share{{Lease: "l", Executors: 2, Near: "n"}, {Lease: "m", Executors: 1}},
	},
}

const entriesFile = "testdata/entries-1.txt"

// Entries that were written once must be read for ever: testdata has one of each kind, as this version wrote
// it first. A line is only ever added.
func TestEntriesAsTheyWereWritten(t *testing.T) {
	text, err := os.ReadFile(entriesFile)
	check(t, err)
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	if len(lines) != len(samples) {
		t.Fatalf("%s has %d entries, and there are %d kinds", entriesFile, len(lines), len(samples))
	}
	for i, line := range lines {
		head, body, _ := strings.Cut(line, " ")
		want, err := hex.DecodeString(head)
		check(t, err)
		want = append(want, body...)
		got, err := entry{uint64(i + 1), samples[i]}.encode()
		check(t, err)
		if !bytes.Equal(want, got) {
			t.Errorf("%T is written as\n%x %s, not as\n%s", samples[i], got[:entryHeader], got[entryHeader:], line)
		}
		read, err := decode(want)
		check(t, err)
		if diff := cmp.Diff(entry{uint64(i + 1), samples[i]}, read, cmp.AllowUnexported(entry{})); diff != "" {
			t.Errorf("%T (-written +read):\n%s", samples[i], diff)
		}
	}
}

// Each command of the ledger has a kind of entry, and a sample here.
func TestEveryCommandHasAKind(t *testing.T) {
	sampled := map[string]bool{}
	for _, command := range samples {
		sampled[kindByType[typeOf(command)].command.Name()] = true
	}
	files, err := filepath.Glob("../ledger/*.go")
	check(t, err)
	found := 0
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		check(t, err)
		for _, declaration := range file.Decls {
			function, ok := declaration.(*ast.FuncDecl)
			if !ok || function.Name.Name != "apply" || function.Recv == nil {
				continue
			}
			command := function.Recv.List[0].Type.(*ast.Ident).Name
			found++
			if !sampled[command] {
				t.Errorf("ledger.%s has no kind in entry.go, or no sample in this test and line in %s", command, entriesFile)
			}
		}
	}
	if found != len(kinds) || found != len(kindByNumber) || len(kindByType) != found {
		t.Errorf("%d commands, %d kinds with %d numbers", found, len(kinds), len(kindByNumber))
	}
}

// What this program can not understand is said to be another version's, and what is not as it was written
// to be damaged.
func TestEntriesOfOthers(t *testing.T) {
	good, err := entry{1, samples[0]}.encode()
	check(t, err)
	// changed is the entry with bytes of its own, and the checksum that goes with them.
	changed := func(change func([]byte) []byte) []byte {
		text := change(bytes.Clone(good))
		binary.LittleEndian.PutUint32(text[2:], entrySum(text))
		return text
	}
	for name, c := range map[string]struct {
		text []byte
		want error
	}{
		"nothing":       {nil, ErrDamaged},
		"one byte":      {good[:1], ErrDamaged},
		"cut":           {good[:len(good)-1], ErrDamaged},
		"version 2":     {changed(func(e []byte) []byte { e[0] = 2; return e }), ErrVersion},
		"unknown kind":  {changed(func(e []byte) []byte { e[1] = 200; return e }), ErrVersion},
		"unknown field": {changed(func(e []byte) []byte { return append(e[:entryHeader], `{"Shade":1}`...) }), ErrVersion},
		"no JSON":       {changed(func(e []byte) []byte { return append(e, 'x') }), ErrVersion},
		"a long mark":   {changed(func(e []byte) []byte { e[1] = markKind; return e }), ErrDamaged},
	} {
		if _, err := decode(c.text); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for i := range good[1:] {
		text := bytes.Clone(good)
		text[i+1] ^= 0x10
		if _, err := decode(text); !errors.Is(err, ErrDamaged) {
			t.Fatalf("byte %d was changed: %v", i+1, err)
		}
	}
	type foreign struct{ ledger.Command }
	if _, err := (entry{1, foreign{}}).encode(); err == nil {
		t.Error("a command that nobody knows was written")
	}
}

// A state comes back from its image as it was, and the same state has the same image.
func TestImages(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := ledger.New()
		for range rapid.IntRange(0, 30).Draw(t, "commands") {
			_, _ = ledger.Apply(s, anyCommand(t))
		}
		text, err := image{5, s}.encode()
		must(t, err)
		again, err := image{5, s.Clone()}.encode()
		must(t, err)
		read, err := decodeImage(text)
		must(t, err)
		if diff := cmp.Diff(image{5, s}, read); diff != "" || !bytes.Equal(text, again) {
			t.Fatalf("(-written +read):\n%s", diff)
		}
		for name, c := range map[string]struct {
			text []byte
			want error
		}{
			"cut":       {text[:len(text)-1], ErrDamaged},
			"empty":     {nil, ErrDamaged},
			"version 9": {append(append(bytes.Clone(text[:8]), 9), text[9:]...), ErrVersion},
		} {
			if _, err := decodeImage(c.text); !errors.Is(err, c.want) {
				t.Fatalf("%s: %v", name, err)
			}
		}
	})
}

// Whatever stands in the log: it is an entry, which is written again to be read as the same, or it is
// refused; nothing panics.
func FuzzEntry(f *testing.F) {
	for i, command := range samples {
		text, err := entry{uint64(i), command}.encode()
		check(f, err)
		f.Add(text[1], text[6:])
	}
	f.Add(byte(markKind), make([]byte, 8))
	f.Fuzz(func(t *testing.T, number byte, rest []byte) {
		text := append([]byte{entryVersion, number, 0, 0, 0, 0}, rest...)
		if _, err := decode(text); err == nil && entrySum(text) != 0 {
			t.Error("an entry without its checksum")
		}
		binary.LittleEndian.PutUint32(text[2:], entrySum(text))
		e, err := decode(text)
		if err != nil {
			if !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrVersion) {
				t.Errorf("it is refused for %v", err)
			}
			return
		}
		first, err := e.encode()
		check(t, err)
		again, err := decode(first)
		check(t, err)
		second, err := again.encode()
		check(t, err)
		if !bytes.Equal(first, second) {
			t.Errorf("%q is written again as %q", first, second)
		}
		if e.command != nil { // no command that can be read may stop the ledger
			_, _ = ledger.Apply(ledger.New(), e.command)
		}
	})
}

// Whatever stands in a snapshot, with its checksum: it is read, or refused.
func FuzzImage(f *testing.F) {
	text, err := image{5, ledger.New()}.encode()
	check(f, err)
	f.Add(text[imageHeader:])
	f.Add([]byte("null"))
	f.Add([]byte(`{"State":null}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		text := append([]byte(imageMagic), imageVersion, 0, 0, 0, 0)
		binary.LittleEndian.PutUint32(text[len(imageMagic)+1:], crc32.Checksum(body, castagnoli))
		i, err := decodeImage(append(text, body...))
		if err == nil {
			_, err = i.encode()
			check(t, err)
		} else if !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrVersion) {
			t.Errorf("it is refused for %v", err)
		}
	})
}
