package hosts_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/sublet-hpc/sublet/internal/hosts"
	"github.com/sublet-hpc/sublet/resources/api"
)

// secrets are those of a cluster, each as it may stand somewhere: as text, and as bytes.
type secrets map[string][]byte

func (s secrets) add(name string, secret []byte) {
	s[name] = secret
	s[name+" in hexadecimal"] = []byte(hex.EncodeToString(secret))
	s[name+" in base64"] = []byte(base64.RawStdEncoding.EncodeToString(secret))
}

// found are those that stand in a text.
func (s secrets) found(text []byte) (names []string) {
	for name, secret := range s {
		if len(secret) > 0 && bytes.Contains(text, secret) {
			names = append(names, name)
		}
	}
	return names
}

// secretsOf reads those of a run directory and of its ledger's keys, a private key in parts: the number itself is
// what stands in memory.
func secretsOf(t *testing.T, dir string) secrets {
	t.Helper()
	access, err := api.ReadAccess(dir)
	check(t, err)
	s := secrets{}
	for _, role := range api.Roles {
		token := access.Tokens.Of(role)
		raw, err := hex.DecodeString(token)
		check(t, err)
		if len(raw) != 32 {
			t.Fatalf("the token of %s has %d bytes", role, len(raw))
		}
		s.add("the token of "+string(role), raw)
	}
	text, err := os.ReadFile(filepath.Join(dir, "ledger", "keys.json"))
	check(t, err)
	var keys struct {
		Key []byte `json:"key"`
	}
	check(t, json.Unmarshal(text, &keys))
	const head = 36 // of PKCS #8 for this curve; the number follows
	if len(keys.Key) < head+32 {
		t.Fatalf("a key of %d bytes", len(keys.Key))
	}
	s.add("the key of the resource manager", keys.Key[head:head+32])
	return s
}

// memoryOf reads what a process has in its memory, as far as it can be read.
func memoryOf(t *testing.T, pid int, look func([]byte)) {
	t.Helper()
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	check(t, err)
	memory, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	check(t, err)
	defer memory.Close()
	read := 0
	for line := range strings.Lines(string(maps)) {
		fields := strings.Fields(line)
		from, to, _ := strings.Cut(fields[0], "-")
		begin, err := strconv.ParseUint(from, 16, 64)
		check(t, err)
		end, err := strconv.ParseUint(to, 16, 64)
		if err != nil || fields[1][1] != 'w' || begin > 1<<62 {
			continue // what it can not write to is its program's
		}
		const chunk, overlap = 1 << 20, 128
		buffer := make([]byte, chunk+overlap)
		for at := begin; at < end; at += chunk {
			n, err := memory.ReadAt(buffer[:min(uint64(len(buffer)), end-at)], int64(at))
			if err != nil && n == 0 {
				break // a guard page, or memory of a device
			}
			read += n
			look(buffer[:n])
		}
	}
	if read < 1<<20 {
		t.Errorf("of process %d only %d bytes could be read", pid, read)
	}
}

// No token and no key stands on a command line, in a log, however much is logged, or in what an executor has: its
// environment, its memory, its open files.
func TestSecretsStayWhereTheyBelong(t *testing.T) {
	c := newCluster(t) // it logs all
	h := hosts.New(t)
	far := c.Lend(t, h, "--name", "far", "--cores", "1")
	client := holder(t, c, 1)
	hosts.Eventually(t, "its lease", func() bool { return strings.Contains(client.Logged(), "holds core") })
	secret := secretsOf(t, c.Dir)
	if len(secret.found([]byte(mustRead(t, filepath.Join(c.Dir, "access.json"))))) != len(api.Roles) {
		t.Fatal("the test does not find what is there")
	}

	var executors []int
	for _, pid := range descendants(t, c.Manager.Process.Pid, far.Process.Pid, client.Process.Pid) {
		folder := "/proc/" + strconv.Itoa(pid)
		text, err := os.ReadFile(folder + "/cmdline")
		if err != nil {
			continue // it was a probe of a device, and has ended
		}
		line := string(text)
		for _, name := range secret.found([]byte(line)) {
			t.Errorf("%s is on the command line of %q", name, line)
		}
		if strings.Contains(line, "sublet-executor") {
			executors = append(executors, pid)
		}
	}
	if len(executors) == 0 {
		t.Fatal("there is no executor")
	}
	for _, p := range []*hosts.Program{c.Manager, far, client} {
		for _, name := range secret.found([]byte(p.Logged())) {
			t.Errorf("%s is in the log of %q", name, p.Args)
		}
	}
	memory := false
	memoryOf(t, c.Manager.Process.Pid, func(text []byte) { memory = memory || len(secret.found(text)) > 0 })
	if !memory {
		t.Error("the test does not find in the resource manager's memory what must be there")
	}
	for _, pid := range executors {
		folder := "/proc/" + strconv.Itoa(pid)
		environment := mustRead(t, folder+"/environ")
		for _, name := range secret.found([]byte(environment)) {
			t.Errorf("%s is in an executor's environment", name)
		}
		if strings.Contains(environment, "SUBLET_") {
			t.Errorf("an executor's environment: %q", environment)
		}
		memoryOf(t, pid, func(text []byte) {
			for _, name := range secret.found(text) {
				t.Errorf("%s is in an executor's memory", name)
			}
		})
		files, err := os.ReadDir(folder + "/fd")
		check(t, err)
		for _, file := range files {
			target, err := os.Readlink(filepath.Join(folder, "fd", file.Name()))
			if err == nil && (strings.HasPrefix(target, c.Dir) || strings.Contains(target, "access.json") || strings.Contains(target, "keys.json")) {
				t.Errorf("an executor has %s open", target)
			}
		}
	}
}

func mustRead(t *testing.T, path string) string {
	t.Helper()
	file, err := os.Open(path)
	check(t, err)
	defer file.Close()
	text, err := io.ReadAll(file)
	check(t, err)
	return string(text)
}

// descendants are processes with those that they have started, and those that these have.
func descendants(t *testing.T, pids ...int) []int {
	t.Helper()
	all := pids
	for i := 0; i < len(all); i++ {
		tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", all[i]))
		check(t, err)
		for _, task := range tasks {
			text, err := os.ReadFile(task)
			if err != nil {
				continue // the thread has ended
			}
			for _, child := range strings.Fields(string(text)) {
				pid, err := strconv.Atoi(child)
				check(t, err)
				all = append(all, pid)
			}
		}
	}
	return all
}
