package cpus

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func setOf(list ...int) (set unix.CPUSet) {
	for _, cpu := range list {
		set.Set(cpu)
	}
	return set
}

// topology writes the lists of hardware threads as /sys has them.
func topology(t *testing.T, siblings ...string) string {
	t.Helper()
	folder := t.TempDir()
	for cpu, list := range siblings {
		path := filepath.Join(folder, "cpu"+strconv.Itoa(cpu), "topology")
		check(t, os.MkdirAll(path, 0o755))
		check(t, os.WriteFile(filepath.Join(path, "thread_siblings_list"), []byte(list+"\n"), 0o644))
	}
	return folder
}

func TestPhysical(t *testing.T) {
	pairs := topology(t, "0,2", "1,3", "0,2", "1,3")
	for name, c := range map[string]struct {
		folder  string
		cpus    []int
		want    []Core
		partial []int
	}{
		"no threads":      {topology(t, "0", "1"), []int{0, 1}, []Core{{0, []int{0}}, {1, []int{1}}}, nil},
		"pairs":           {pairs, []int{0, 1, 2, 3}, []Core{{0, []int{0, 2}}, {1, []int{1, 3}}}, nil},
		"neighbors":       {topology(t, "0-1", "0-1"), []int{0, 1}, []Core{{0, []int{0, 1}}}, nil},
		"half of a core":  {pairs, []int{0, 1, 3}, []Core{{1, []int{1, 3}}}, []int{0}},
		"no topology":     {t.TempDir(), []int{4, 7}, []Core{{4, []int{4}}, {7, []int{7}}}, nil},
		"other half only": {pairs, []int{2}, nil, []int{2}},
	} {
		set := setOf(c.cpus...)
		got, partial, err := Physical(&set, c.folder)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(c.want, got) + cmp.Diff(c.partial, partial); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	set := setOf(0)
	if _, _, err := Physical(&set, topology(t, "what")); err == nil {
		t.Error("a list that is none was read")
	}
}

func TestParse(t *testing.T) {
	got, err := Parse("0-2,8,10-11")
	check(t, err)
	if diff := cmp.Diff([]int{0, 1, 2, 8, 10, 11}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, bad := range []string{"", "a", "1-", "3-1", "-1", "0-99999999", "1,,2"} {
		if cpus, err := Parse(bad); err == nil {
			t.Errorf("%q was read as %v", bad, cpus)
		}
	}
}

// The job's CPUs do not depend on the affinity that we inherited.
func TestAllowedIsNotTheAffinity(t *testing.T) {
	whole, err := Allowed()
	check(t, err)
	done := make(chan []int)
	go func() {
		runtime.LockOSThread() // the thread ends with its narrow affinity
		narrow := setOf(List(&whole)[0])
		_ = unix.SchedSetaffinity(0, &narrow)
		set, _ := Allowed()
		var after unix.CPUSet
		_ = unix.SchedGetaffinity(0, &after)
		if after != narrow {
			t.Errorf("the thread had affinity %v, and has %v", List(&narrow), List(&after))
		}
		done <- List(&set)
	}()
	if diff := cmp.Diff(List(&whole), <-done); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Children that are to die with their parent live on: to the kernel their parent is the thread that started them.
func TestAllowedEndsNoChildren(t *testing.T) {
	child := exec.Command("cat")
	child.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	in, err := child.StdinPipe()
	check(t, err)
	out, err := child.StdoutPipe()
	check(t, err)
	check(t, child.Start())
	for range 1000 { // on that thread too, some time
		_, err = Allowed()
		check(t, err)
	}
	_, err = in.Write([]byte("alive"))
	check(t, err)
	check(t, in.Close())
	said, err := io.ReadAll(out)
	check(t, err)
	if err := child.Wait(); err != nil || string(said) != "alive" {
		t.Errorf("it said %q and ended by %v", said, err)
	}
}

// A core counts as soon as one of its hardware threads is in the set.
func TestTouched(t *testing.T) {
	set := setOf(0, 3, 2)
	got, err := Touched(&set, topology(t, "0,2", "1,3", "0,2", "1,3"))
	check(t, err)
	if diff := cmp.Diff([]int{0, 1}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, err := Touched(&set, topology(t, "what")); err == nil {
		t.Error("a list that is none was read")
	}
}
