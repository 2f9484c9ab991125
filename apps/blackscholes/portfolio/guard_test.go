package portfolio

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// writingFile names the file that this test binary, as another process, writes until a signal ends it.
const writingFile = "SUBLET_TEST_WRITING_FILE"

func writeUntilSignal(path string) error {
	out, err := Create(path)
	if err != nil {
		return err
	}
	if _, err := out.Write([]byte("half")); err != nil {
		return err
	}
	fmt.Fprintln(os.Stdout, "writing")
	_, err = bufio.NewReader(os.Stdin).ReadByte() // for ever
	return fmt.Errorf("standard input: %w", err)
}

// Ctrl-C and mpirun's SIGTERM end a process that writes as any other, and leave what was there before.
func TestSignalsLeaveNothing(t *testing.T) {
	// What these tests are started by may ignore signals, as nohup does; whom they start has them as usual.
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
	defer signal.Stop(caught)
	for _, ends := range []unix.Signal{unix.SIGINT, unix.SIGTERM, unix.SIGHUP} {
		path := filepath.Join(t.TempDir(), "prices.txt")
		if err := os.WriteFile(path, []byte("before"), 0o600); err != nil {
			t.Fatal(err)
		}
		child := exec.CommandContext(t.Context(), os.Args[0])
		child.Env = append(os.Environ(), writingFile+"="+path)
		child.Stderr = os.Stderr
		stdin, err := child.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		stdout, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		if line, err := bufio.NewReader(stdout).ReadString('\n'); err != nil || line != "writing\n" {
			t.Fatalf("it says %q, %v", line, err)
		}
		if names := left(t, filepath.Dir(path)); !strings.Contains(names, ".new-prices.txt-") {
			t.Errorf("while it writes there is %s", names)
		}
		if err := child.Process.Signal(ends); err != nil {
			t.Fatal(err)
		}
		_ = child.Wait() // the signal is its error
		if status := child.ProcessState.Sys().(interface{ Signal() unix.Signal }).Signal(); status != ends {
			t.Errorf("after %v it ended with %v", ends, child.ProcessState)
		}
		if names := left(t, filepath.Dir(path)); names != "prices.txt" || content(t, path) != "before" {
			t.Errorf("after %v there is %s", ends, names)
		}
		_ = stdin.Close()
	}
}
