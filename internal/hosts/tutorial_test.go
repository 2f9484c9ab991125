package hosts_test

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/sublet-hpc/sublet/internal/buildtest"
	"github.com/sublet-hpc/sublet/internal/hosts"
)

// blocks are the fenced blocks of a page in a language, in their order.
func blocks(t *testing.T, page, language string) (found []string) {
	t.Helper()
	text, err := os.ReadFile(page)
	check(t, err)
	for _, match := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```$").FindAllStringSubmatch(string(text), -1) {
		found = append(found, match[1])
	}
	return found
}

const tutorial = "../../docs/tutorial.md"

// The files that the tutorial shows are those that its commands start from.
func TestTutorialShowsTheTemplates(t *testing.T) {
	shown := blocks(t, tutorial, "json")
	for _, name := range []string{"devices", "executor_manager", "executors_database", "benchmark", "resource_manager"} {
		var want, got any
		content, err := os.ReadFile("../../config/" + name + ".json")
		check(t, err)
		check(t, json.Unmarshal(content, &want))
		if len(shown) == 0 {
			t.Fatalf("the tutorial does not show %s.json", name)
		}
		if err := json.Unmarshal([]byte(shown[0]), &got); err != nil || !reflect.DeepEqual(want, got) {
			t.Errorf("%s.json is shown as %s (%v)", name, shown[0], err)
		}
		shown = shown[1:]
	}
}

// shell runs commands one after the other.
type shell struct {
	*hosts.Program
	commands io.Writer
	ran      int
}

// run runs commands, and waits until they have ended well.
func (s *shell) run(t *testing.T, commands string) {
	t.Helper()
	s.ran++
	_, err := fmt.Fprintf(s.commands, "%s\necho \"block %d is done\"\n", commands, s.ran)
	check(t, err)
	s.await(t, fmt.Sprintf("block %d is done", s.ran), 1)
}

// await waits until a text has been printed so often.
func (s *shell) await(t *testing.T, text string, times int) {
	t.Helper()
	hosts.Eventually(t, fmt.Sprintf("%q, %d times", text, times), func() bool {
		if syscall.Kill(s.Process.Pid, 0) != nil || strings.Contains(s.Logged(), "block failed") {
			t.Fatalf("a command has failed:\n%s", s.Logged())
		}
		return strings.Count(s.Logged(), text) >= times
	})
}

// The tutorial's commands run as they stand, one block after the other; only the example's address is
// replaced. What has been started in the background is waited for, as a reader would.
func TestTutorial(t *testing.T) {
	checkout := t.TempDir()
	bin := filepath.Join(checkout, "bin")
	check(t, os.Mkdir(bin, 0o755))
	check(t, buildtest.Programs(bin, "cmd/sublet", "cmd/sublet-executor", "cmd/sublet-bench"))
	_, err := buildtest.Library(bin, "libfunctions.so", "../../examples/functions.cpp")
	check(t, err)
	config, err := filepath.Abs("../../config")
	check(t, err)
	check(t, os.Symlink(config, filepath.Join(checkout, "config")))

	command := exec.Command("bash")
	command.Dir = checkout
	command.Env = append(os.Environ(), "HOME="+checkout, "SUBLET_DIR=", "SUBLET_BIN=", "SUBLET_TOKEN_FILE=", "SUBLET_EXECUTORS_DATABASE=")
	commands, err := command.StdinPipe()
	check(t, err)
	s := &shell{Program: hosts.Start(t, command), commands: commands}
	t.Cleanup(func() {
		_, _ = io.WriteString(commands, "kill $(jobs -p); wait; exit\n") // it may be gone
		s.End(t, 0)
	})
	s.run(t, "trap 'echo block failed' ERR")
	managers, benchmarks, colds := 0, 0, 0
	for _, block := range blocks(t, tutorial, "sh") {
		s.run(t, strings.ReplaceAll(block, "192.168.0.29", "127.0.0.1"))
		switch {
		case strings.Contains(block, "sublet executor-manager"):
			managers++
			s.await(t, "address=127.0.0.1:10005 socket=", managers)
			if !strings.Contains(block, "--skip-resource-manager") {
				s.await(t, "msg=registered ", 1)
			}
		case strings.Contains(block, "sublet resource-manager"):
			s.await(t, "resource manager at https://127.0.0.1:10000", 1)
		case strings.Contains(block, "curl"):
			s.await(t, "node exec-mgr-node is taken out", 1)
			s.await(t, "node exec-mgr-node is added", 1)
		case strings.Contains(block, "sublet-bench "):
			benchmarks++
			s.await(t, " repetitions, avg ", benchmarks)
			s.await(t, "executor     on exec-mgr-node, transport ring, provider memfd\ndata         1\n", benchmarks)
			if strings.Contains(block, "sublet-bench cold") {
				colds++
				s.await(t, "Executed 10 repetitions", colds)
				s.await(t, "\nexecutors    ", colds)
			}
		}
	}
	if managers != 2 || benchmarks != 4 || colds != 2 {
		t.Errorf("%d executor managers, %d benchmarks, %d of them cold", managers, benchmarks, colds)
	}
}
