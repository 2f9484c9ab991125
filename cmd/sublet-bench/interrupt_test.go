package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sublet-hpc/sublet/bench/record"
)

// Ctrl-C in the middle, from a terminal, which all processes of the run get: what was measured until then is
// reported and kept. That there is something is known by the progress bar, which is drawn after a block; the
// first would be one that is thrown away.
func TestInterruptedOnATerminal(t *testing.T) {
	keyboard, terminal := openTerminal(t)
	saved := filepath.Join(t.TempDir(), "a.bench")
	var table bytes.Buffer
	command := exec.CommandContext(t.Context(), filepath.Join(bin, "sublet-bench"), "latency", "--transport", "ring", "--sizes", "8,16",
		"--warmup", "0", "--repetitions", "10000000", "--blocks", "10000", "--save", saved)
	command.Env = append(os.Environ(), "SUBLET_BIN="+bin, "SUBLET_DIR="+bin) // without a resource manager
	command.Stdin, command.Stdout, command.Stderr = terminal, &table, terminal
	command.SysProcAttr = &unix.SysProcAttr{Setsid: true, Setctty: true}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	terminal.Close()
	shown := until(t, keyboard, []byte("8 bytes"))
	if _, err := keyboard.Write([]byte{3}); err != nil { // Ctrl-C
		t.Fatal(err)
	}
	said := slices.Concat(shown, rest(keyboard))
	var exit *exec.ExitError
	if err := command.Wait(); !errors.As(err, &exit) || exit.ExitCode() != exitFailed {
		t.Errorf("it ended with %v\n%s", err, said)
	}
	if !bytes.Contains(said, []byte("sublet-bench: interrupted")) {
		t.Errorf("on the terminal there is\n%s", said)
	}
	if !bytes.Contains(table.Bytes(), []byte("ring, memfd")) || !bytes.Contains(table.Bytes(), []byte("Interrupted:")) {
		t.Errorf("the report is\n%s", &table)
	}
	run, err := record.Load(saved)
	if err != nil {
		t.Fatal(err)
	}
	if len(run.Series) != 1 || len(run.Series[0].Blocks) >= 10_000 || !slices.ContainsFunc(run.Notes, func(n string) bool { return n[:5] == "Inter" }) {
		t.Errorf("%d series, notes %q", len(run.Series), run.Notes)
	}
	if entries, err := os.ReadDir(filepath.Dir(saved)); err != nil || len(entries) != 1 {
		t.Errorf("beside the file there is something: %v, %v", entries, err)
	}
}

// openTerminal gives both ends of one.
func openTerminal(t *testing.T) (keyboard, terminal *os.File) {
	t.Helper()
	keyboard, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { keyboard.Close() })
	if err := unix.IoctlSetPointerInt(int(keyboard.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(keyboard.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return keyboard, terminal
}

// until reads what is shown until there is a text in it.
func until(t *testing.T, keyboard *os.File, text []byte) (shown []byte) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !bytes.Contains(shown, text); {
		if time.Now().After(deadline) {
			t.Fatalf("it shows no %q:\n%s", text, shown)
		}
		more := make([]byte, 4096)
		n, err := keyboard.Read(more)
		if err != nil {
			t.Fatalf("%v after\n%s", err, shown)
		}
		shown = append(shown, more[:n]...)
	}
	return shown
}

// rest is what is shown until nobody has the terminal any more.
func rest(keyboard *os.File) (shown []byte) {
	for {
		more := make([]byte, 4096)
		n, err := keyboard.Read(more)
		if err != nil {
			return shown
		}
		shown = append(shown, more[:n]...)
	}
}
