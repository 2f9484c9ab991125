package buildtest

import (
	"os"
	"syscall"
	"testing"
)

// Script writes a shell script that can be run at once; the first line, which names the shell, is added. A process that another
// test forks meanwhile would have the file open for writing until it runs a program of its own, and the script could not be run ("text file busy").
func Script(t testing.TB, path, body string) {
	t.Helper()
	Executable(t, path, []byte("#!/bin/sh\n"+body))
}

// Executable writes a program that can be run at once, as [Script] does.
func Executable(t testing.TB, path string, content []byte) {
	t.Helper()
	syscall.ForkLock.RLock()                  // nobody forks
	err := os.WriteFile(path, content, 0o700) //nolint:gosec // it is run
	syscall.ForkLock.RUnlock()
	if err != nil {
		t.Fatal(err)
	}
}
