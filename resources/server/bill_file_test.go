package server

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sublet-hpc/sublet/resources/api"
)

// someLines are lines first to last, two in each second.
func someLines(first, last uint64) (lines []api.BillLine) {
	for n := first; n <= last; n++ {
		lines = append(lines, api.BillLine{
			Line: n, At: noon.Add(time.Duration(n/2) * time.Second), Account: "a", User: "ann", Lease: fmt.Sprint("l", n), Node: "n",
			Began: noon, Ended: noon, Usage: api.Usage{Computing: api.Uint128Of(n)},
		})
	}
	return lines
}

func openBill(t *testing.T, path string, entered uint64) *billFile {
	t.Helper()
	f, err := openBillFile(path, entered, slog.New(slog.DiscardHandler))
	check(t, err)
	return f
}

func numbers(t *testing.T, path string, since time.Time, upTo uint64) (got []uint64) {
	t.Helper()
	check(t, readBill(path, since, upTo, func(line *api.BillLine) { got = append(got, line.Line) }))
	return got
}

// Wherever a crash cuts the file, it goes on with whole lines; those that come again are there once.
func TestBillFileAfterCrashes(t *testing.T) {
	var whole bytes.Buffer
	var ends []int
	for _, line := range someLines(1, 3) {
		text, err := json.Marshal(line)
		check(t, err)
		whole.Write(append(text, '\n'))
		ends = append(ends, whole.Len())
	}
	for cut := 0; cut <= whole.Len(); cut += 7 {
		path := filepath.Join(t.TempDir(), "bill.jsonl")
		check(t, os.WriteFile(path, whole.Bytes()[:cut], 0o644))
		f := openBill(t, path, 3)
		want := uint64(0)
		for _, end := range ends {
			if end <= cut {
				want++
			}
		}
		if f.last != want {
			t.Fatalf("cut at %d its last line is %d, not %d", cut, f.last, want)
		}
		check(t, f.append(someLines(1, 3)))
		check(t, f.append(someLines(2, 4)))
		check(t, f.close())
		if diff := cmp.Diff([]uint64{1, 2, 3, 4}, numbers(t, path, time.Time{}, 9)); diff != "" {
			t.Fatalf("cut at %d:\n%s", cut, diff)
		}
		if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
			t.Fatalf("%v %v", info.Mode(), err)
		}
	}
}

// A ledger that has been set back, or is another one, does not take lines for its own that it has not entered.
func TestBillFileOfAnotherLedger(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bill.jsonl")
	f := openBill(t, path, 0)
	check(t, f.append(someLines(1, 9)))
	check(t, f.close())
	f = openBill(t, path, 4)
	check(t, f.append(someLines(5, 6)))
	check(t, f.close())
	if diff := cmp.Diff([]uint64{1, 2, 3, 4, 5, 6}, numbers(t, path, time.Time{}, 9)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]uint64{1, 2, 3, 4, 5, 6, 7, 8, 9}, numbers(t, path+".9", time.Time{}, 9)); diff != "" {
		t.Error(diff)
	}
	// If it was interrupted when the one had lost its name and the other had not got it.
	check(t, os.Rename(path, path+successor))
	check(t, openBill(t, path, 6).close())
	if diff := cmp.Diff([]uint64{1, 2, 3, 4, 5, 6}, numbers(t, path, time.Time{}, 9)); diff != "" {
		t.Error(diff)
	}
}

// What is no bill is left as it is.
func TestNoBillFile(t *testing.T) {
	for _, content := range []string{"hello\n", `{"line": 0}` + "\n", `{"line": 7}` + "\n", strings.Repeat("x", 3*maxBillLine)} {
		path := filepath.Join(t.TempDir(), "bill.jsonl")
		check(t, os.WriteFile(path, []byte(content), 0o600))
		if _, err := openBillFile(path, 9, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "move it away") {
			t.Errorf("%.20q: %v", content, err)
		}
		if left, err := os.ReadFile(path); err != nil || string(left) != content {
			t.Errorf("%.20q is %.20q now", content, left)
		}
	}
}

// Of a long file only what is asked for is read, and that is right wherever it begins.
func TestBillSince(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bill.jsonl")
	const last = 2000
	f := openBill(t, path, 0)
	check(t, f.append(someLines(1, last)))
	check(t, f.close())
	for _, from := range []int{-5, 0, 1, 2, 3, 17, 499, 500, 998, 999, 1000, 1001, 5000} {
		var want []uint64
		for _, line := range someLines(1, last-3) {
			if !line.At.Before(noon.Add(time.Duration(from) * time.Second)) {
				want = append(want, line.Line)
			}
		}
		if diff := cmp.Diff(want, numbers(t, path, noon.Add(time.Duration(from)*time.Second), last-3)); diff != "" {
			t.Errorf("since %d s:\n%s", from, diff)
		}
	}
	if got := numbers(t, path, time.Time{}, 0); got != nil {
		t.Errorf("up to no line: %v", got)
	}
	if got := numbers(t, path+"x", time.Time{}, 5); got != nil {
		t.Errorf("of no file: %v", got)
	}
}

// FuzzBillFile: whatever is in the file, it is either refused and left alone, or whole lines are kept.
func FuzzBillFile(f *testing.F) {
	line, err := json.Marshal(someLines(1, 1)[0])
	if err != nil {
		f.Fatal(err)
	}
	f.Add(append(line, '\n'))
	f.Add(append(append(line, '\n'), line[:40]...))
	f.Add([]byte("\n\n{}\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		path := filepath.Join(t.TempDir(), "bill.jsonl")
		check(t, os.WriteFile(path, content, 0o600))
		bill, err := openBillFile(path, 1<<63, slog.New(slog.DiscardHandler))
		left, readErr := os.ReadFile(path)
		check(t, readErr)
		if !bytes.HasPrefix(content, left) {
			t.Fatalf("%q became %q", content, left)
		}
		if err != nil {
			return
		}
		defer bill.close()
		if len(left) > 0 && left[len(left)-1] != '\n' {
			t.Fatalf("%q does not end in a line", left)
		}
		_ = readBill(path, noon, 1<<63, func(*api.BillLine) {})
	})
}
