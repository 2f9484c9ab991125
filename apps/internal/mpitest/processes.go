package mpitest

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Process is one that runs a program from a folder.
type Process struct {
	Pid     int
	Program string // without the folder
}

// Processes are those that run programs from a folder.
func Processes(t testing.TB, folder string) []Process {
	t.Helper()
	var found []Process
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		// Of a process that has just ended nothing can be read.
		program, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
		if err == nil && filepath.Dir(program) == folder {
			found = append(found, Process{pid, filepath.Base(program)})
		}
	}
	return found
}

// Busy is how long a process has computed.
func (p Process) Busy() time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.Pid))
	if err != nil {
		return 0
	}
	_, afterName, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(afterName)
	if len(fields) < 12 {
		return 0
	}
	ticks, _ := strconv.Atoi(fields[11]) // in user mode, in hundredths of a second
	return time.Duration(ticks) * 10 * time.Millisecond
}

// ExpectNothingLeft fails the test when a process of a program in a folder lives 2 seconds from now.
func ExpectNothingLeft(t testing.TB, folder string) {
	t.Helper()
	Eventually(t, 2*time.Second, func() (bool, string) {
		alive := Processes(t, folder)
		return len(alive) == 0, fmt.Sprintf("there are still %v", alive)
	})
}

// Eventually fails the test when a condition has not come true in time. What it looks at has no
// event that could be waited for.
func Eventually(t testing.TB, limit time.Duration, condition func() (bool, string)) {
	t.Helper()
	for deadline := time.Now().Add(limit); ; {
		ok, why := condition()
		if ok {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%v later %s", limit, why)
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-t.Context().Done():
		}
	}
}
