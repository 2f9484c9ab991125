package hosts_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sublet-hpc/sublet/internal/hosts"
	"github.com/sublet-hpc/sublet/offload"
)

// A library that the other host does not have is sent there, once, and again when it is another one.
func TestLibraryIsSentToAnotherHost(t *testing.T) {
	c := newCluster(t)
	manager := c.Lend(t, hosts.New(t), "--cores", "1")
	sent := func() int { return strings.Count(manager.Logged(), "a function library was sent") }
	text, err := os.ReadFile(library)
	check(t, err)
	t.Chdir(t.TempDir())
	check(t, os.WriteFile("libsent.so", text, 0o600))
	const path = "/proc/self/cwd/libsent.so" // which is no file where the manager is
	s := session(t)
	leases := 0
	borrow := func(want int) {
		t.Helper()
		leases++ // each has taken a spare, and so have some of the replacements
		hosts.Eventually(t, "a spare", func() bool { return strings.Count(manager.Logged(), "a spare executor is ready") >= leases })
		began := time.Now()
		l, err := s.Lease(within(t), offload.Want{Executors: 1, Library: path})
		check(t, err)
		leased := time.Now()
		echo(t, s, l.Executors()[0], 1000)
		_, err = l.Executors()[0].Invoke(within(t), "crash", nil, nil).Wait(within(t))
		var lost *offload.ExecutorLost
		if !errors.As(err, &lost) {
			t.Errorf("a crash: %v", err)
		}
		hosts.Eventually(t, "a replacement", l.Executors()[0].Ready)
		echo(t, s, l.Executors()[0], 1000)
		giving := time.Now()
		check(t, l.Release())
		t.Logf("leased within %v, given back within %v", leased.Sub(began), time.Since(giving))
		if got := sent(); got != want {
			t.Errorf("it was sent %d times, not %d", got, want)
		}
	}
	borrow(1)
	borrow(1)
	check(t, os.WriteFile("new.so", append(text, 0), 0o600))
	check(t, os.Rename("new.so", "libsent.so"))
	borrow(2)

	check(t, os.Remove("libsent.so"))
	_, err = s.Lease(within(t), offload.Want{Executors: 1, Library: path})
	if err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("a library that is nowhere: %v", err)
	}
}

// Spares die with their manager, however that ends.
func TestSparesDieWithTheirManager(t *testing.T) {
	c := newCluster(t)
	t.Setenv("HOSTS_TEST_SPARE", t.Name())
	manager := c.Lend(t, hosts.New(t), "--pool", "1")
	spare := func() (pids []string) {
		paths, err := filepath.Glob("/proc/[0-9]*/cmdline")
		check(t, err)
		for _, path := range paths {
			line, _ := os.ReadFile(path)
			environment, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "environ"))
			if strings.Contains(string(line), "sublet-executor\x00--spare") && strings.Contains(string(environment), "HOSTS_TEST_SPARE="+t.Name()) {
				pids = append(pids, path)
			}
		}
		return pids
	}
	hosts.Eventually(t, "a spare", func() bool { return len(spare()) == 1 })
	manager.End(t, syscall.SIGKILL)
	hosts.Eventually(t, "its end", func() bool { return len(spare()) == 0 })
}
