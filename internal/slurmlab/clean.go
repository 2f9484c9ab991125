package slurmlab

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// AwaitClean waits until nothing is left on nodes that was not there before the first job: no process, no abstract
// socket of ours, no file in a folder that is the node's own. All nodes if none is named.
func (l *Lab) AwaitClean(t testing.TB, within time.Duration, nodes ...string) {
	t.Helper()
	if len(nodes) == 0 {
		nodes = l.Nodes
	}
	var left []string
	patient(t, within, func() string { return "nothing is to be left, and there is\n" + strings.Join(left, "\n") }, func() bool {
		left = nil
		for _, node := range nodes {
			left = append(left, l.Left(t, node)...)
		}
		return len(left) == 0
	})
}

// Left is what is on a node that was not there before the first job.
func (l *Lab) Left(t testing.TB, node string) (left []string) {
	t.Helper()
	first := l.process(node)
	if first == 0 {
		return nil // it has crashed
	}
	for _, process := range l.Processes(t, node) {
		left = append(left, fmt.Sprintf("%s: process %s", node, process))
	}
	inside := func(path string) string { return filepath.Join("/proc", strconv.Itoa(first), path) }
	sockets, err := os.ReadFile(inside("net/unix"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(sockets)) {
		if at := strings.Index(line, "@sublet"); at >= 0 {
			left = append(left, fmt.Sprintf("%s: socket %s", node, strings.TrimSpace(line[at:])))
		}
	}
	for _, folder := range []string{"/tmp", "/var/tmp", "/run", "/dev/shm"} {
		for _, file := range files(t, inside("root"+folder), folder) {
			if !l.isNodes(file) {
				left = append(left, fmt.Sprintf("%s: file %s", node, file))
			}
		}
	}
	return left
}

// Processes are those on a node that a job has started: what is not the node's own, and no zombie.
func (l *Lab) Processes(t testing.TB, node string) (found []string) {
	t.Helper()
	first := l.process(node)
	namespace, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", first))
	if err != nil {
		t.Fatal(err)
	}
	numbers, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range numbers {
		if at, err := os.Readlink(path + "/ns/pid"); err != nil || at != namespace {
			continue // another node's, or it has gone
		}
		stat, err := os.ReadFile(path + "/stat")
		if err != nil {
			continue
		}
		// pid (name) state parent ...; a name can have anything in it.
		from, to := bytes.IndexByte(stat, '('), bytes.LastIndexByte(stat, ')')
		name, fields := string(stat[from+1:to]), strings.Fields(string(stat[to+1:]))
		pid, parent := filepath.Base(path), fields[1]
		if fields[0] == "Z" || pid == strconv.Itoa(first) || name == "munged" || name == "slurmd" || name == "sleep" && parent == strconv.Itoa(first) {
			continue
		}
		line, err := os.ReadFile(path + "/cmdline")
		if err != nil {
			continue
		}
		found = append(found, fmt.Sprintf("%s %s (%s)", pid, name, strings.TrimSpace(strings.ReplaceAll(string(line), "\x00", " "))))
	}
	return found
}

// process is a node's process 1, by its number here; 0: the node has crashed.
func (l *Lab) process(node string) int {
	text, err := os.ReadFile(filepath.Join(l.folder, "run", node))
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0
	}
	if _, err := os.Stat("/proc/" + strconv.Itoa(pid)); err != nil {
		return 0
	}
	return pid
}

// isNodes tells whether a file was there before any job, or is nobody's but MPI's.
func (l *Lab) isNodes(path string) bool {
	shared := []string{l.folder, filepath.Dir(filepath.Dir(l.scripts))} // the checkout, if that is in one of these folders
	name := filepath.Base(path)
	return slices.ContainsFunc(shared, func(s string) bool { return s == path || strings.HasPrefix(s, path+"/") }) ||
		slices.Contains([]string{"/run/mount", "/run/munge", "/run/slurmd.pid"}, path) ||
		strings.HasPrefix(name, "ompi.") || strings.HasPrefix(name, "pmix-")
}

// files are those in a folder of a node, by their paths there.
func files(t testing.TB, folder, path string) (found []string) {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for _, entry := range entries {
		found = append(found, filepath.Join(path, entry.Name()))
	}
	return found
}
