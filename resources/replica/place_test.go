package replica

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestClasses(t *testing.T) {
	for number, want := range map[uint32]class{
		unix.NFS_SUPER_MAGIC: shared, 0x0BD00BD0: shared, 0x47504653: shared, 0x19830326: shared,
		unix.CIFS_SUPER_MAGIC: shared, unix.SMB2_SUPER_MAGIC: shared, unix.FUSE_SUPER_MAGIC: shared,
		unix.TMPFS_MAGIC: memory, unix.RAMFS_MAGIC: memory,
		unix.EXT4_SUPER_MAGIC: disked, unix.XFS_SUPER_MAGIC: disked, unix.BTRFS_SUPER_MAGIC: disked, unix.OVERLAYFS_SUPER_MAGIC: disked,
	} {
		if got := classify(number); got.class != want || got.name == "" {
			t.Errorf("%#x is %+v", number, got)
		}
	}
	// What is really there, also of a directory that is not.
	if found, err := fileSystemOf("/dev/shm/sublet/not/there"); err != nil || found.class != memory {
		t.Errorf("/dev/shm is on %+v, %v", found, err)
	}
	if _, err := fileSystemOf("/dev/null/x"); err == nil {
		t.Error("below a device there is a file system")
	}
}

// machine has file systems under the names of directories.
type machineWith map[string]class

func (m machineWith) fileSystem(path string) (fileSystem, error) {
	for name, class := range m {
		if strings.Contains(path, name) {
			return fileSystem{class, "file system " + name}, nil
		}
	}
	return fileSystem{}, fmt.Errorf("%w: %s", fs.ErrNotExist, path)
}

func TestChoosing(t *testing.T) {
	base := t.TempDir()
	for _, name := range []string{"home", "disk", "memory", "runtime", "local"} {
		check(t, os.Mkdir(filepath.Join(base, name), 0o700))
	}
	run := filepath.Join(base, "home")
	key, err := keyOf(run)
	check(t, err)
	mine := fmt.Sprint("sublet-", os.Getuid())
	kept := filepath.Join(run, copyName)
	for name, c := range map[string]struct {
		machine machineWith
		named   string
		runtime bool
		want    Place
		says    []string
	}{
		"a run directory on a disk":   {machine: machineWith{"home": disked}, want: Place{Directory: run + "/ledger", On: "file system home"}},
		"a run directory in memory":   {machine: machineWith{"home": memory}, want: Place{Directory: run + "/ledger", On: "file system home"}},
		"a shared home":               {machine: machineWith{"home": shared, "disk": disked}, want: Place{filepath.Join(base, "disk", mine, key), kept, "file system disk"}},
		"a diskless node":             {machine: machineWith{"home": shared, "disk": memory, "runtime": memory, "memory": memory}, runtime: true, want: Place{filepath.Join(base, "runtime", "sublet", key), kept, "file system runtime"}},
		"one without XDG_RUNTIME_DIR": {machine: machineWith{"home": shared, "disk": memory, "memory": memory}, want: Place{filepath.Join(base, "memory", mine, key), kept, "file system memory"}},
		"nowhere":                     {machine: machineWith{"home": shared, "disk": shared, "memory": shared}, says: []string{"file system home", "--data"}},
		"a named disk":                {machine: machineWith{"home": shared, "local": disked}, named: "local", want: Place{Directory: filepath.Join(base, "local"), On: "file system local"}},
		"named memory":                {machine: machineWith{"home": shared, "local": memory}, named: "local", want: Place{filepath.Join(base, "local"), kept, "file system local"}},
		"a named shared one":          {machine: machineWith{"home": disked, "local": shared}, named: "local", says: []string{"local is on file system local", "--data", "leave it out"}},
	} {
		t.Run(name, func(t *testing.T) {
			chooser := chooser{fileSystem: c.machine.fileSystem, disk: filepath.Join(base, "disk"), memory: filepath.Join(base, "memory"), uid: os.Getuid()}
			chooser.variables = func(name string) string {
				if c.runtime && name == "XDG_RUNTIME_DIR" {
					return filepath.Join(base, "runtime")
				}
				return ""
			}
			if c.named != "" {
				c.named = filepath.Join(base, c.named)
			}
			got, err := chooser.choose(run, c.named)
			if diff := cmp.Diff(c.want, got); diff != "" || (err == nil) != (c.says == nil) || err != nil && !contains(err, c.says...) {
				t.Errorf("%v, (-want +got):\n%s", err, diff)
			}
		})
	}
}

// A directory where anybody can make some is used if it is ours alone.
func TestPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sublet")
	for range 2 {
		check(t, private(path, os.Getuid()))
	}
	check(t, os.Chmod(path, 0o750))
	for what, err := range map[string]error{"others can read": private(path, os.Getuid()), "another's": private(t.TempDir(), os.Getuid()+1)} {
		if err == nil || !contains(err, "--data") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// A ledger whose directory is lost is taken up from its copy; one that another host has gone on with is put
// aside, and nothing is deleted.
func TestCopies(t *testing.T) {
	run := t.TempDir()
	place := Place{Directory: filepath.Join(t.TempDir(), "ledger"), Copy: filepath.Join(run, copyName)}
	r := openPlace(t, place)
	apply(t, r, node("n", 4))
	apply(t, r, grant("a", 1))
	check(t, r.Close())
	info, err := os.Stat(place.Copy)
	check(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the copy has mode %v", info.Mode())
	}
	local := place.Directory

	place.Directory = filepath.Join(t.TempDir(), "ledger") // after a boot, say
	r = openPlace(t, place)
	if len(r.State().Leases) != 1 || r.revision != 2 {
		t.Errorf("taken up at revision %d: %+v", r.revision, r.State())
	}
	apply(t, r, grant("b", 1))
	check(t, r.stop()) // killed: the copy is of before
	r = openPlace(t, place)
	if len(r.State().Leases) != 2 {
		t.Errorf("after a kill: %+v", r.State())
	}
	check(t, r.Close())

	// The first directory is of the same host, as far as can be told; let it be another's.
	text, err := os.ReadFile(place.Copy)
	check(t, err)
	check(t, os.WriteFile(place.Copy, []byte(strings.Replace(string(text), `"host":"`+hostname(), `"host":"other`+hostname(), 1)), 0o600))
	place.Directory = local
	r = openPlace(t, place)
	if len(r.State().Leases) != 2 {
		t.Errorf("taken over from another host: %+v", r.State())
	}
	check(t, r.Close())
	if _, err := os.Stat(local + ".old-1/" + logName); err != nil {
		t.Errorf("what was there of before: %v", err)
	}

	text, err = os.ReadFile(place.Copy)
	check(t, err)
	for name, c := range map[string]struct {
		text string
		want error
	}{
		"cut":     {string(text[:len(text)-5]), ErrDamaged},
		"garbage": {"garbage", ErrDamaged},
		"newer":   {strings.Replace(string(text), `{"format":1`, `{"format":2`, 1), ErrVersion},
	} {
		check(t, os.WriteFile(place.Copy, []byte(c.text), 0o600))
		if _, err := Open(Options{Place: Place{Directory: t.TempDir(), Copy: place.Copy}}); !errors.Is(err, c.want) {
			t.Errorf("a copy that is %s: %v", name, err)
		}
	}
}
