package portfolio

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv("SUBLET_TEST_SMALL_DISK"); dir != "" {
		if err := onSmallDisk(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if path := os.Getenv(writingFile); path != "" {
		fmt.Fprintln(os.Stderr, writeUntilSignal(path))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// left are the files of a folder.
func left(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return strings.Join(names, " ")
}

func content(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Ranks write one file together; until it is whole, what had its name before is there.
func TestRanksWriteOneFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "prices.txt")
	if err := os.WriteFile(path, []byte("before"), 0o640); err != nil {
		t.Fatal(err)
	}
	prices := make([]float32, 1000)
	for i := range prices {
		prices[i] = float32(i) / 7
	}
	out, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := out.Write(AppendCount(nil, int64(len(prices)))); err != nil {
		t.Fatal(err)
	}
	// Every rank formats what is its own; the lengths of those in front say where it goes.
	const ranks = 4
	var texts [ranks][]byte
	for rank := range ranks {
		texts[rank] = AppendPrices(nil, prices[rank*250:][:250])
	}
	offset := out.Written()
	var group sync.WaitGroup
	for rank := range ranks {
		at := offset
		group.Go(func() {
			to, err := Join(out.Temporary(), path)
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := to.WriteAt(texts[rank], at); err != nil {
				t.Error(err)
			}
			if err := to.Commit(); err == nil {
				t.Error("a rank commits what another has created")
			}
			if err := to.Close(); err != nil || to.Written() != int64(len(texts[rank])) {
				t.Errorf("%d bytes, %v", to.Written(), err)
			}
		})
		offset += int64(len(texts[rank]))
	}
	group.Wait()
	if got := content(t, path); got != "before" {
		t.Errorf("before it is committed it is %q", got)
	}
	if err := out.Commit(); err != nil {
		t.Fatal(err)
	}
	want := AppendPrices(AppendCount(nil, 1000), prices)
	if got := content(t, path); got != string(want) || left(t, dir) != "prices.txt" {
		t.Errorf("%d bytes, and not %d; %s", len(got), len(want), left(t, dir))
	}
	if err := out.Close(); err != nil || content(t, path) != string(want) {
		t.Errorf("closed after it was committed: %v", err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

// What is not committed has never been.
func TestOutputIsGivenUp(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "prices.txt")
	out, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := out.Write([]byte("half")); err != nil || left(t, dir) != filepath.Base(out.Temporary()) {
		t.Errorf("%v, %s", err, left(t, dir))
	}
	if err := out.Close(); err != nil || left(t, dir) != "" {
		t.Errorf("%v, %s is left", err, left(t, dir))
	}
}

// A link stays one, and leads to the new file.
func TestOutputBehindALink(t *testing.T) {
	dir := t.TempDir()
	target, link := filepath.Join(dir, "target"), filepath.Join(dir, "link")
	if err := errors.Join(os.WriteFile(target, []byte("before"), 0o600), os.Symlink("target", link)); err != nil {
		t.Fatal(err)
	}
	out, err := Create(link)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := out.Write([]byte("after")); err != nil {
		t.Fatal(err)
	}
	if err := out.Commit(); err != nil || content(t, target) != "after" || left(t, dir) != "link target" {
		t.Errorf("%v, %q, %s", err, content(t, target), left(t, dir))
	}
}

func TestOutputsThatCanNotBe(t *testing.T) {
	dir := t.TempDir()
	for path, want := range map[string]string{
		dir:                             "writing " + dir + ": it is a directory: name a file",
		filepath.Join(dir, "none", "x"): "writing " + filepath.Join(dir, "none", "x") + ": no such file or directory",
	} {
		if _, err := Create(path); err == nil || err.Error() != want {
			t.Errorf("%v; want %s", err, want)
		}
	}
	if _, err := Join(filepath.Join(dir, ".new-x"), "x"); err == nil || err.Error() != "writing x: no such file or directory" {
		t.Errorf("%v", err)
	}
	if left(t, dir) != "" {
		t.Errorf("%s is left", left(t, dir))
	}
}

// Devices and pipes are written to, and not replaced.
func TestOutputToADevice(t *testing.T) {
	for path, want := range map[string]error{"/dev/null": nil, "/dev/full": syscall.ENOSPC} {
		before, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		err = WriteGenerated(path, Generated{Count: 1000, Seed: 1}, nil)
		if !errors.Is(err, want) || want != nil && !strings.HasPrefix(err.Error(), "writing "+path+": no space left on device: the file was not written: make room") {
			t.Errorf("%s: %v", path, err)
		}
		if after, err := os.Lstat(path); err != nil || !os.SameFile(before, after) {
			t.Errorf("%s is another now: %v", path, err)
		}
	}
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	done := make(chan error)
	go func() {
		_, err := text.ReadFrom(reader)
		done <- err
	}()
	path := fmt.Sprintf("/dev/fd/%d", writer.Fd())
	if err := WriteGenerated(path, Generated{Count: 100, Seed: 1}, nil); err != nil {
		t.Error(err)
	}
	err = WriteGenerated(path, Generated{Count: 100, Seed: 1, Binary: true, Precision: 4}, nil)
	if err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("binary to a pipe: %v", err)
	}
	writer.Close()
	if err := <-done; err != nil || text.String() != string(AppendGenerated(AppendCount(nil, 100), 0, 100, 1)) {
		t.Errorf("%d bytes, %v", text.Len(), err)
	}
}

// What stands for a descriptor, as /dev/stdout, is written to where the descriptor is, also if it is a file's.
func TestOutputToADescriptor(t *testing.T) {
	dir := t.TempDir()
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	fmt.Fprintln(log, "before")
	if err := WriteGenerated(fmt.Sprintf("/dev/fd/%d", log.Fd()), Generated{Count: 10, Seed: 1}, nil); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(log, "behind")
	want := "before\n" + string(AppendGenerated(AppendCount(nil, 10), 0, 10, 1)) + "behind\n"
	if got := content(t, log.Name()); got != want || left(t, dir) != "log" {
		t.Errorf("%q; want %q; %s", got, want, left(t, dir))
	}
}

// A file system that is too small leaves the file that was there, nothing else, and one error.
func TestSmallDisk(t *testing.T) {
	dir := t.TempDir()
	command := exec.Command(os.Args[0])
	command.Env = append(os.Environ(), "SUBLET_TEST_SMALL_DISK="+dir)
	command.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	if os.Getuid() != 0 {
		command.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		command.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		command.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	if out, err := command.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if left(t, dir) != "" {
		t.Errorf("%s is left: it was no file system of its own", left(t, dir))
	}
}

// onSmallDisk writes more than there is room for on a file system of a mebibyte.
func onSmallDisk(dir string) error {
	if err := syscall.Mount("none", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("making mounts private: %w", err)
	}
	if err := syscall.Mount("none", dir, "tmpfs", 0, "size=1m"); err != nil {
		return fmt.Errorf("mounting a tmpfs: %w", err)
	}
	path := filepath.Join(dir, "options")
	if err := os.WriteFile(path, []byte("before"), 0o600); err != nil {
		return err
	}
	for _, what := range []Generated{{Count: 100_000}, {Count: 100_000, Binary: true, Precision: 8}} {
		err := WriteGenerated(path, what, nil)
		if !errors.Is(err, syscall.ENOSPC) || err.Error() != "writing "+path+": no space left on device: the file was not written: make room, or choose a file on another file system" {
			return fmt.Errorf("%+v: %w", what, err)
		}
		text, err := os.ReadFile(path)
		entries, err2 := os.ReadDir(dir)
		if err := errors.Join(err, err2); err != nil || string(text) != "before" || len(entries) != 1 {
			return fmt.Errorf("%+v: %q, and %v is left: %w", what, text, entries, err)
		}
	}
	return nil
}
