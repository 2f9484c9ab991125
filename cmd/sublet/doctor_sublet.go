package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/sublet-hpc/sublet/devices"
	"github.com/sublet-hpc/sublet/internal/binaries"
	"github.com/sublet-hpc/sublet/internal/control"
	"github.com/sublet-hpc/sublet/internal/version"
	"github.com/sublet-hpc/sublet/resources/api"
)

// programs finds Sublet's other programs, and compares versions.
func (d *doctor) programs(ctx context.Context) (devices.Versions, []finding) {
	const check = "programs"
	const change = "make install, or set " + binaries.Directory + " to the directory of all of them"
	for _, name := range []string{executorProgram, "sublet-invoke"} {
		if _, err := binaries.Find(name); err != nil {
			return devices.Versions{Missing: "there is no " + executorProgram + " to ask"}, []finding{fail(check, err.Error(), change)}
		}
	}
	path, _ := binaries.Find(executorProgram) // it is there
	versions, err := askVersions(ctx, path)
	if err != nil {
		return devices.Versions{Missing: err.Error()}, []finding{fail(check, err.Error(), "is "+path+" a program of this version, and of this machine? "+change)}
	}
	if versions.Protocol != control.Protocol {
		return versions, []finding{fail(check, fmt.Sprintf("%s is of version %s (protocol %d), this is %s (protocol %d)", path, versions.Sublet, versions.Protocol, version.Version, control.Protocol), change)}
	}
	if versions.Sublet != version.Version {
		return versions, []finding{warn(check, fmt.Sprintf("%s is of version %s, this is %s", path, versions.Sublet, version.Version), change)}
	}
	return versions, []finding{ok(check, "version %s, in %s", version.Version, filepath.Dir(path))}
}

// askVersions has sublet-executor say its version, and libfabric's.
func askVersions(ctx context.Context, path string) (devices.Versions, error) {
	var versions devices.Versions
	ctx, cancel := context.WithTimeout(ctx, listPatience)
	defer cancel()
	command := exec.CommandContext(ctx, path, "--probe", "version")
	var stderr bytes.Buffer
	command.Stderr = &stderr
	out, err := command.Output()
	if err == nil {
		err = json.Unmarshal(out, &versions)
	}
	if err != nil {
		return versions, fmt.Errorf("%s --probe version: %w", path, cmp.Or(lastWords(&stderr), err))
	}
	return versions, nil
}

// libfabric says what a lease over a network will use.
func (d *doctor) libfabric(versions devices.Versions) finding {
	if versions.Missing != "" {
		return warn("libfabric", strings.TrimPrefix(versions.Missing, "fabric: "), "install it to reach executors on other hosts; on one host Sublet needs none")
	}
	return ok("libfabric", "version %s, %s", versions.Libfabric, versions.Path)
}

// fabric tries each device of this machine, as sublet devices check does.
func (d *doctor) fabric(ctx context.Context) []finding {
	options := devicesOptions{}
	list, _, _, err := options.toCheck(ctx, "", io.Discard)
	if err != nil {
		return []finding{fail("fabric", err.Error(), "sublet devices --verbose says more")}
	}
	var findings []finding
	for _, device := range list {
		var trials []devices.Trial
		for _, way := range device.Ways() {
			if ctx.Err() != nil {
				return findings
			}
			trials = append(trials, options.remote.try(ctx, "", "", device, way))
		}
		findings = append(findings, judgeDevice(device.Name, trials))
	}
	return findings
}

// judgeDevice says by what a device works. Shared memory must work: every rank needs it.
func judgeDevice(name string, trials []devices.Trial) finding {
	var works, fails []string
	for _, trial := range trials {
		way := trial.Transport + " over " + trial.Provider
		if trial.Works {
			works = append(works, fmt.Sprintf("%s (%.1f µs)", way, float64(trial.RoundTrip)/float64(time.Microsecond)))
		} else {
			fails = append(fails, way+": "+trial.Reason)
		}
	}
	check := "fabric " + name
	const change = "sublet devices check says more; docs/devices.md has what devices need"
	switch {
	case len(works) == 0 && name == devices.SharedMemory:
		return fail(check, strings.Join(fails, "; "), change)
	case len(works) == 0:
		return warn(check, strings.Join(fails, "; "), change)
	}
	found := "works by " + strings.Join(works, ", ")
	if len(fails) > 0 {
		return warn(check, found+"; not by "+strings.Join(fails, "; "), change)
	}
	return ok(check, "%s", found)
}

// directory looks at who may read and write the run directory.
func (d *doctor) directory() []finding {
	const check = "directory"
	dir := d.dir
	if dir == "" {
		var err error
		if dir, err = api.Directory(); err != nil {
			return []finding{fail(check, err.Error(), "set HOME or "+api.DirectoryVariable)}
		}
	}
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return []finding{d.absent(dir)}
	}
	if err != nil {
		return []finding{fail(check, fmt.Sprintf("%s: %s", dir, plainReason(err)), "let this user read it, or name another: "+api.DirectoryVariable)}
	}
	if !info.IsDir() {
		return []finding{fail(check, dir+" is no directory", "name the run directory of a resource manager: "+api.DirectoryVariable)}
	}
	owner := int(info.Sys().(*syscall.Stat_t).Uid)
	return []finding{judgeDirectory(dir, owner, os.Getuid(), info.Mode().Perm())}
}

// absent is what to say of a run directory that is not there.
func (d *doctor) absent(dir string) finding {
	if d.dir == "" && os.Getenv(api.DirectoryVariable) == "" {
		return ok("directory", "there is no %s: programs lease the spare cores of their own node", dir)
	}
	return warn("directory", fmt.Sprintf("there is no %s: programs lease the spare cores of their own node", dir), "start a resource manager: sublet resource-manager --dir "+dir+", or unset "+api.DirectoryVariable)
}

func judgeDirectory(dir string, owner, uid int, mode fs.FileMode) finding {
	switch {
	case owner != uid:
		return fail("directory", fmt.Sprintf("%s belongs to user %d, not to you (%d); a resource manager serves one user", dir, owner, uid), "use a run directory of your own: "+api.DirectoryVariable)
	case mode&0o022 != 0:
		return fail("directory", fmt.Sprintf("others can write to %s (mode %v), and put a resource manager of their own there", dir, mode), "chmod go-w "+dir)
	}
	return ok("directory", "%s, which only you can write to", dir)
}

// manager asks the resource manager how it is, and compares clocks.
func (d *doctor) manager(ctx context.Context) []finding {
	const check = "manager"
	client, err := api.Open(d.dir)
	if errors.Is(err, api.ErrNoResourceManager) {
		return []finding{ok(check, "there is none: programs lease the spare cores of their own node")}
	}
	if err != nil {
		return []finding{fail(check, err.Error(), "start it again: sublet resource-manager")}
	}
	defer client.Close()
	before := time.Now()
	status, err := client.Status(ctx)
	if err != nil {
		return []finding{fail(check, err.Error(), "is it alive, and is its address one that this host reaches? if it is no more, remove access.json")}
	}
	after := time.Now()
	return []finding{judgeManager(status), judgeOffset(status.Now.Sub(before.Add(after.Sub(before)/2)), after.Sub(before))}
}

func judgeManager(status api.Status) finding {
	found := fmt.Sprintf("%s on %s, version %s, %s lending", status.URL, status.Host, status.Version, count(status.Nodes[api.NodeLending], "node"))
	switch {
	case status.Version != version.Version:
		return warn("manager", found+"; this is "+version.Version, "use one version of Sublet everywhere")
	case status.Nodes[api.NodeSilent] > 0:
		return warn("manager", fmt.Sprintf("%s, %d silent", found, status.Nodes[api.NodeSilent]), "sublet status says which; look at their executor managers")
	case status.Nodes[api.NodeLending] == 0:
		return warn("manager", found, "start an executor manager on each node that is to be lent: sublet executor-manager")
	}
	return ok("manager", "%s", found)
}

// judgeOffset compares two clocks, known to within a round trip.
func judgeOffset(offset, trip time.Duration) finding {
	apart := max(offset.Abs()-trip/2, 0)
	found := fmt.Sprintf("the resource manager's differs by %v", offset.Round(time.Millisecond))
	const change = "synchronize the clocks of all hosts: chrony or ntpd"
	switch {
	case apart >= clockWrong:
		return fail("clock", found+": tickets, which are good for 20 s, will be refused", change)
	case apart >= clockDoubtful:
		return warn("clock", found, change)
	}
	return ok("clock", "%s", found)
}
